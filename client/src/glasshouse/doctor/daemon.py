"""Docker's daemon: its versions, its configuration, its disk, and whether it comes back after a reboot."""

import json
import re
import shutil
from collections.abc import Iterator

from glasshouse.doctor.finding import Finding, Target
from glasshouse.settings import Kind
from glasshouse.system import System

# From 2.40.2 on Compose builds through buildx and refuses an older one: github.com/docker/compose/pull/13295, and
# github.com/ddev/ddev/pull/8196, which found out from which version on.
_COMPOSE_NEEDS_BUILDX = (2, 40, 2)
_OLDEST_BUILDX = (0, 17)
_BUILDX = "apt-get install -y docker-buildx (Ubuntu's Docker) or docker-buildx-plugin (Docker's own)"

_GB = 1_000_000_000
# As read from public sources for the image of vLLM 0.32, not measured by us: 12 GB are fetched and become 29 GB. The
# model of compose.yaml has 7.5 GiB of weights (services/vllm/models/qwen3-4b-instruct.yaml); a larger one takes more.
_VLLM_FETCHED_GB, _VLLM_UNPACKED_GB, _MODEL_GB = 12, 29, 9
# Room for the other images, logs and metrics; chosen, not measured.
_OTHER_IMAGES_GB = 5
_MIN_FREE_GB = 1
_ENGINES: dict[Kind, str] = {"gpu": "vllm", "cpu": "llamacpp"}


def versions(target: Target) -> Iterator[Finding]:
    """Docker and Compose, as far as `make up` needs them, and buildx."""
    if target.machine.docker_trouble:
        yield Finding("failure", "Docker", target.machine.docker_trouble)
        return
    yield Finding("ok", "Docker", target.machine.docker)
    compose = _version(target.machine.docker.rpartition("Compose ")[2])
    succeeded, output = target.system.ask("docker", "buildx", "version")
    buildx = _version(output) if succeeded else ()
    shown = ".".join(map(str, buildx))
    if compose >= _COMPOSE_NEEDS_BUILDX and buildx < _OLDEST_BUILDX:
        found = f"buildx {shown} is older than 0.17" if buildx else "buildx is missing"
        yield Finding("failure", "buildx", f"{found}, but this Compose needs it to build images", _BUILDX)
    elif buildx:
        yield Finding("ok", "buildx", shown)
    else:
        yield Finding("warning", "buildx", "it is missing; Compose from 2.40.2 on needs it to build images", _BUILDX)


def engine_version(target: Target) -> tuple[int, ...]:
    """The version of Docker's daemon; empty where it does not answer."""
    return _version(target.machine.docker)


def boot(target: Target) -> Iterator[Finding]:
    """Whether containers come back after a reboot."""
    succeeded, output = target.system.ask("systemctl", "is-enabled", "docker")
    if succeeded and output == "enabled":
        yield Finding("ok", "boot", "Docker starts at boot, and so does the stack")
    elif output == "disabled":
        yield Finding(
            "warning",
            "boot",
            "Docker does not start at boot: after a reboot nothing runs",
            "sudo systemctl enable docker",
        )
    else:
        yield Finding("not checked", "boot", "systemctl does not report whether Docker starts at boot")


def disk(target: Target) -> Iterator[Finding]:
    """Whether Docker's disk has room for the images and the model."""
    if target.machine.docker_trouble:
        return
    succeeded, root = target.system.ask("docker", "info", "--format", "{{.DockerRootDir}}")
    try:
        free = shutil.disk_usage(target.system.path(root)).free / _GB if succeeded and root else None
    except OSError:  # it is another machine's, or a virtual one's
        free = None
    if free is None:
        yield Finding("not checked", "disk", "the disk of Docker's images is not visible from here")
        return
    needed, minimum = _required_gb(target)
    text = f"{free:.0f} GB are free in {root}"
    if free >= needed:
        yield Finding("ok", "disk", text)
        return
    remedy = "docker image prune removes unused images; or enlarge the disk"
    if free < minimum:
        yield Finding("failure", "disk", f"{text}, but vLLM's image alone takes about {minimum} GB", remedy)
    else:
        yield Finding("warning", "disk", f"{text}, but the images and the model take up to {needed} GB more", remedy)


def setting(system: System, *names: str) -> object:
    """What daemon.json says below these names; None where it says nothing, is not ours to read, or is broken."""
    try:
        found: object = json.loads(system.read("etc/docker/daemon.json"))
    except ValueError:
        return None
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _required_gb(target: Target) -> tuple[int, int]:
    """The GB that a start may take, and the GB without which it surely fails."""
    engine = _ENGINES.get(target.kind, "api")
    image = f"glasshouse/{engine}:{target.setting('GLASSHOUSE_VERSION', '0.1.0')}"
    if target.system.ask("docker", "image", "inspect", "--format", "{{.Id}}", image)[0]:
        return (_MODEL_GB if target.kind == "gpu" else _MIN_FREE_GB), 0
    if target.kind == "gpu":
        return _VLLM_FETCHED_GB + _VLLM_UNPACKED_GB + _MODEL_GB + _OTHER_IMAGES_GB, _VLLM_UNPACKED_GB
    return _OTHER_IMAGES_GB, 0


def _version(text: str) -> tuple[int, ...]:
    match = re.search(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups(default="0")) if match else ()

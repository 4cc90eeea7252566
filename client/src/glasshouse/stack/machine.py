"""What this machine has for a stack in Docker, according to `docker`, `nvidia-smi` and the PCI bus; what is missing."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

from glasshouse.system import System

_MIN_COMPOSE = (2, 24)
_COMPOSE_PAGE = "https://docs.docker.com/compose/install/"
TOOLKIT = (
    "install NVIDIA's container toolkit, "
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)
_CONFIGURE = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
_RESTART = "Docker has not been restarted since it was configured: sudo systemctl restart docker"
_NVIDIA = "0x10de"
_DISPLAY = "0x03"  # the class of graphics cards and of 3D controllers, which GPUs without a monitor are
_INSTALL_DRIVER = "sudo ubuntu-drivers install --gpgpu, then reboot"
_REBOOT = "a reboot loads the driver that fits, where an upgrade has replaced it"


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is, in words; where something is missing, a `…_trouble` says what, and how to fix it.

    `has_gpu` also holds for a GPU that cannot be used: its driver fails or is missing, or Docker does not reach it.
    """

    docker: str
    gpu: str
    docker_trouble: str = ""
    gpu_trouble: str = ""
    has_gpu: bool = False


def inspect(system: System) -> Machine:
    """Asks the programs; takes a second, or fifteen where one hangs."""
    docker, docker_trouble = _docker(system)
    gpu, gpu_trouble, has_gpu = _gpu(system)
    if gpu and not gpu_trouble and not docker_trouble:
        gpu_trouble = _toolkit_trouble(system, gpu)
    return Machine(docker, gpu, docker_trouble, gpu_trouble, has_gpu)


def is_docker_forbidden(environment: Mapping[str, str]) -> bool:
    """Whether Docker is there but not for this user, who then cannot see what runs in it."""
    is_ok, output = System(environment).ask("docker", "version", "--format", "{{.Server.Version}}")
    return not is_ok and _is_forbidden(output)


def _is_forbidden(output: str) -> bool:
    return "permission denied" in output.lower()


def _docker(system: System) -> tuple[str, str]:
    if not system.has("docker"):
        return "", "Docker is not installed"
    is_ok, server = system.ask("docker", "version", "--format", "{{.Server.Version}}")
    if not is_ok or not server:
        if _is_forbidden(server):
            return "", "you may not use Docker: sudo usermod -aG docker $USER, then log in again"
        fix = "open -a Docker" if platform.system() == "Darwin" else "sudo systemctl start docker"
        return "", f"Docker's daemon does not answer: {fix}"
    is_ok, compose = system.ask("docker", "compose", "version", "--short")
    if not is_ok:
        return "", f"Docker has no Compose plugin: {_COMPOSE_PAGE}"
    match = re.match(r"v?(\d+)\.(\d+)", compose)
    if match is None or (int(match[1]), int(match[2])) < _MIN_COMPOSE:
        return "", f"Docker Compose {compose} is older than {'.'.join(map(str, _MIN_COMPOSE))}: {_COMPOSE_PAGE}"
    return f"Docker {server}, Compose {compose.removeprefix('v')}", ""


def _gpu(system: System) -> tuple[str, str, bool]:
    """The GPU in words, what is wrong with it, and whether there is one at all."""
    on_bus = _on_pci_bus(system)
    if not system.has("nvidia-smi"):
        if on_bus:
            return "", f"an NVIDIA GPU is there without its driver's nvidia-smi: {_INSTALL_DRIVER}", True
        return "", "no NVIDIA GPU found", False
    is_ok, listed = system.ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    names = [line.strip() for line in listed.splitlines() if line.strip()]
    if is_ok and names and "No devices" not in names[0]:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}", "", True
    reason = names[0].rstrip(".") if names else "it says nothing"
    # The tool alone may have come with the machine's image. For output that fits, a bus without a GPU settles that; any
    # other output comes from a driver that is loaded, or cannot be explained, and counts as a GPU.
    fits_no_gpu = "No devices" in reason or "couldn't communicate" in reason
    has_gpu = bool(on_bus) or not (fits_no_gpu and on_bus is not None)
    return "", f"nvidia-smi shows no GPU: {reason}" + (f"; {_REBOOT}" if has_gpu else ""), has_gpu


def _on_pci_bus(system: System) -> bool | None:
    """Whether an NVIDIA GPU is on the PCI bus, with a driver or without; None where the bus cannot be read."""
    devices = system.entries("sys/bus/pci/devices")
    if not devices:
        return None
    return any(
        system.read(f"{device}/vendor").strip() == _NVIDIA and system.read(f"{device}/class").startswith(_DISPLAY)
        for device in devices
    )


def _toolkit_trouble(system: System, gpu: str) -> str:
    """Docker reaches a GPU through NVIDIA's runtime, or through the hook alone, which it looks up on its PATH."""
    is_ok, runtimes = system.ask("docker", "info", "--format", "{{json .Runtimes}}")
    if (is_ok and '"nvidia"' in runtimes) or system.has("nvidia-container-runtime-hook"):
        return ""
    if '"nvidia"' in system.read("etc/docker/daemon.json"):
        return f"{gpu} is there, but Docker cannot use it: {_RESTART}"
    fix = _CONFIGURE if system.has("nvidia-ctk") else TOOLKIT
    return f"{gpu} is there, but Docker cannot use it: {fix}"

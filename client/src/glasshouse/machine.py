"""What this machine has for a stack in Docker, asked of `docker` and `nvidia-smi`; what is missing, and the cure."""

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_TIMEOUT_S = 15.0
_OLDEST_COMPOSE = (2, 24)
_COMPOSE_PAGE = "https://docs.docker.com/compose/install/"
TOOLKIT = (
    "install NVIDIA's container toolkit, "
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)
_CONFIGURE = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is, in words; where something is missing, a `…_trouble` says what, and what to do."""

    docker: str
    gpu: str
    docker_trouble: str = ""
    gpu_trouble: str = ""


def look(environment: Mapping[str, str]) -> Machine:
    """Asks the programs on the PATH of `environment`; takes a second, or fifteen where one of them hangs."""
    ask = _Asker(environment)
    docker, docker_trouble = _docker(ask)
    gpu, gpu_trouble = _gpu(ask)
    if gpu and not gpu_trouble and not docker_trouble:
        gpu_trouble = _toolkit_trouble(ask, gpu)
    return Machine(docker, gpu, docker_trouble, gpu_trouble)


def is_docker_forbidden(environment: Mapping[str, str]) -> bool:
    """Whether Docker is there but not for this user, who then cannot see what runs in it."""
    good, said = _Asker(environment)("docker", "version", "--format", "{{.Server.Version}}")
    return not good and _is_forbidden(said)


def _is_forbidden(said: str) -> bool:
    return "permission denied" in said.lower()


@dataclass(frozen=True, slots=True)
class _Asker:
    """Runs small questions."""

    environment: Mapping[str, str]

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self.environment.get("PATH")) is not None

    def __call__(self, program: str, *arguments: str) -> tuple[bool, str]:
        """Whether it ended well, and what it said."""
        found = shutil.which(program, path=self.environment.get("PATH"))
        if found is None:
            return False, ""
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and a program of the person's own PATH
                [found, *arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, str(error)
        return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip()


def _docker(ask: _Asker) -> tuple[str, str]:
    if not ask.has("docker"):
        return "", "Docker is not installed"
    good, server = ask("docker", "version", "--format", "{{.Server.Version}}")
    if not good or not server:
        if _is_forbidden(server):
            return "", "you may not use Docker: sudo usermod -aG docker $USER, then log in again"
        mend = "open -a Docker" if platform.system() == "Darwin" else "sudo systemctl start docker"
        return "", f"Docker's daemon does not answer: {mend}"
    good, compose = ask("docker", "compose", "version", "--short")
    if not good:
        return "", f"Docker has no Compose plugin: {_COMPOSE_PAGE}"
    match = re.match(r"v?(\d+)\.(\d+)", compose)
    if match is None or (int(match[1]), int(match[2])) < _OLDEST_COMPOSE:
        return "", f"Docker Compose {compose} is older than {'.'.join(map(str, _OLDEST_COMPOSE))}: {_COMPOSE_PAGE}"
    return f"Docker {server}, Compose {compose.removeprefix('v')}", ""


def _gpu(ask: _Asker) -> tuple[str, str]:
    if not ask.has("nvidia-smi"):
        return "", "no NVIDIA GPU found"
    good, listed = ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    names = [line.strip() for line in listed.splitlines() if line.strip()]
    if not good or not names or "No devices" in names[0]:
        return "", f"nvidia-smi shows no GPU: {names[0].rstrip('.') if names else 'it says nothing'}"
    return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}", ""


def _toolkit_trouble(ask: _Asker, gpu: str) -> str:
    """Docker reaches a GPU through NVIDIA's runtime, or through the hook alone, which it looks for on its PATH."""
    good, runtimes = ask("docker", "info", "--format", "{{json .Runtimes}}")
    if (good and '"nvidia"' in runtimes) or ask.has("nvidia-container-runtime-hook"):
        return ""
    mend = _CONFIGURE if ask.has("nvidia-ctk") else TOOLKIT
    return f"{gpu} is there, but Docker cannot use it: {mend}"

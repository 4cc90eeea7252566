"""The shape that a start takes, and why: the one place that decides."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glasshouse.errors import SettingsError, StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.machine import Machine

CPU_FILE = "compose.cpu.yaml"
NAMES: dict[Kind, str] = {"gpu": "Docker with a GPU", "cpu": "Docker without a GPU", "native": "native"}

# Where system packages install servers; not on the PATH of an ordinary user on Debian.
_SERVER_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
_INSTALL = {"nginx": "apt-get install -y nginx-light", "prometheus": "apt-get install -y prometheus"}
_DEMO_MODEL = Path("models/demo/glasshouse-demo.gguf")
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one aspect of a stack, and why, in words."""

    aspect: str
    chosen: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a stack. `nginx` and `prometheus` are the native programs, or None where they are left out."""

    kind: Kind
    nginx: Path | None
    prometheus: Path | None
    choices: tuple[Choice, ...]

    @property
    def reason(self) -> str:
        """Why this shape and no other."""
        return self.choices[0].reason


def print_shape(kind: Kind, reason: str) -> None:
    """Prints the shape as the last line of a start: the first lines said it too, but have scrolled away."""
    print(f"\nShape: {NAMES[kind]} ({reason}).")


def choose(settings: Settings, machine: Machine, which: Callable[[str], str | None] | None = None) -> Shape:
    """Chooses the shape from the settings and from what this machine has.

    Raises:
        SettingsError: NGINX or PROMETHEUS names a program that is not there.
        StackError: This machine does not have what SHAPE asks for, or a GPU would be left unused unasked.
    """
    kind, reason = _kind(settings, machine)
    return native(settings, reason, which) if kind == "native" else _in_docker(settings, kind, reason)


def native(settings: Settings, reason: str, which: Callable[[str], str | None] | None = None) -> Shape:
    """The shape without Docker.

    Raises:
        SettingsError: NGINX or PROMETHEUS names a program that is not there.
    """
    find = which or _which
    nginx = _program("nginx", settings.nginx, find)
    prometheus = _program("prometheus", settings.prometheus, find)
    choices = (
        Choice("shape", NAMES["native"], reason),
        _engine(settings, find),
        _endpoint(settings, nginx),
        _metrics(settings, prometheus),
    )
    return Shape("native", nginx, prometheus, choices)


def url(settings: Settings, host: str = "localhost") -> str:
    """The address that Docker publishes."""
    port = settings.public_https_port
    return f"https://{host}" if port == _HTTPS else f"https://{host}:{port}"


def _kind(settings: Settings, machine: Machine) -> tuple[Kind, str]:
    requested, reason = settings.shape, f"SHAPE={settings.shape}"
    if requested == "native":
        return "native", reason
    if requested == "auto" and (files := settings.environment.get("COMPOSE_FILE")):
        # Naming the files is a choice: the override is for machines without a GPU.
        requested, reason = ("cpu" if CPU_FILE in files else "gpu"), f"COMPOSE_FILE={files}"
    trouble = machine.docker_trouble or (machine.gpu_trouble if requested == "gpu" else "")
    if trouble and requested != "auto":
        raise StackError(f"{reason} cannot be had: {trouble}.")
    if requested == "auto" and machine.has_gpu and (cause := trouble or machine.gpu_trouble):
        other = "native" if machine.docker_trouble else "cpu"
        raise StackError(
            f"This machine has an NVIDIA GPU, which would not be used: {cause}. "
            f"To start without it all the same: make up SHAPE={other}"
        )
    if trouble:
        return "native", trouble
    if requested != "auto":
        return requested, f"{reason}; {machine.docker}"
    if machine.gpu_trouble:
        return "cpu", f"{machine.gpu_trouble}; {machine.docker}"
    return "gpu", f"{machine.gpu}; {machine.docker}"


def _in_docker(settings: Settings, kind: Kind, reason: str) -> Shape:
    if kind == "gpu":
        file = settings.environment.get("VLLM_MODEL_FILE")
        model = Path(file).name.removesuffix(".yaml") if file else "its usual model"
        engine = Choice("engine", f"vLLM with {model}", "VLLM_MODEL_FILE" if file else "VLLM_MODEL_FILE names another")
    else:
        engine = _llamacpp(settings, "no GPU is used")
    return Shape(
        kind,
        None,
        None,
        (
            Choice("shape", NAMES[kind], reason),
            engine,
            Choice("endpoint", f"TLS at {url(settings)}", "nginx is in Docker too"),
            Choice("metrics", f"Grafana at {url(settings)}/grafana/", "with Prometheus behind it"),
        ),
    )


def _engine(settings: Settings, which: Callable[[str], str | None]) -> Choice:
    has_gpu = which("nvidia-smi") is not None
    return _llamacpp(settings, "the native shape leaves a GPU alone" if has_gpu else "no NVIDIA GPU found")


def _llamacpp(settings: Settings, reason: str) -> Choice:
    is_demo = Path(settings.llamacpp_model) == settings.root / _DEMO_MODEL
    model = "the demo model" if is_demo else Path(settings.llamacpp_model).name
    why_model = "" if is_demo else "; the model is the one of LLAMACPP_MODEL"
    return Choice("engine", f"llama.cpp on CPU with {model}", f"{reason}{why_model}")


def _endpoint(settings: Settings, nginx: Path | None) -> Choice:
    if nginx is not None:
        return Choice("endpoint", f"TLS at https://127.0.0.1:{settings.https_port}", f"nginx is {nginx}")
    return Choice(
        "endpoint",
        f"plain http://127.0.0.1:{settings.gateway_port}",
        "NGINX=off" if settings.nginx == "off" else f"no nginx here; for TLS: {_INSTALL['nginx']}",
    )


def _metrics(settings: Settings, prometheus: Path | None) -> Choice:
    if prometheus is not None:
        chosen = f"Prometheus at http://127.0.0.1:{settings.prometheus_port}"
        return Choice("metrics", chosen, f"prometheus is {prometheus}")
    return Choice(
        "metrics",
        f"only at http://127.0.0.1:{settings.metrics_port}/metrics",
        "PROMETHEUS=off" if settings.prometheus == "off" else f"no Prometheus here; for it: {_INSTALL['prometheus']}",
    )


def _program(name: str, setting: str, which: Callable[[str], str | None]) -> Path | None:
    """The program `name`: looked up (`auto`), left out (`off`), or the one that the setting names."""
    if setting == "off":
        return None
    found = which(name if setting == "auto" else setting)
    if found is None and setting != "auto":
        raise SettingsError(
            f"{name.upper()}={setting!r} is no program here: 'auto', 'off' or the path of one is allowed."
        )
    return Path(found) if found is not None else None


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_SERVER_DIRECTORIES))

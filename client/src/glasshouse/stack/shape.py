"""Which form of the stack a start takes, and why: the one place that decides, and says so."""

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

# Where system packages put servers; the PATH of an ordinary user on Debian leaves these out.
_SERVER_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
_INSTALL = {"nginx": "apt-get install -y nginx-light", "prometheus": "apt-get install -y prometheus"}
_DEMO_MODEL = Path("models/demo/glasshouse-demo.gguf")
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one part, and the reason as a person reads it."""

    part: str
    chosen: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of the stack. `nginx` and `prometheus` are the native programs, or None where they are left out."""

    kind: Kind
    nginx: Path | None
    prometheus: Path | None
    choices: tuple[Choice, ...]

    @property
    def reason(self) -> str:
        """Why this form and no other."""
        return self.choices[0].reason


def print_shape(kind: Kind, reason: str) -> None:
    """The last line of a start: what it came to, and why, which the first lines said before a screenful of others."""
    print(f"\nShape: {NAMES[kind]} ({reason}).")


def choose(settings: Settings, machine: Machine, which: Callable[[str], str | None] | None = None) -> Shape:
    """Decides the shape from the settings and from what this machine has.

    Raises:
        SettingsError: NGINX or PROMETHEUS names a program that is not there.
        StackError: SHAPE asks for what this machine does not have, or a GPU would be left unused unasked.
    """
    kind, reason = _kind(settings, machine)
    return native(settings, reason, which) if kind == "native" else _in_docker(settings, kind, reason)


def native(settings: Settings, reason: str, which: Callable[[str], str | None] | None = None) -> Shape:
    """The shape without Docker.

    Raises:
        SettingsError: NGINX or PROMETHEUS names a program that is not there.
    """
    look_up = which or _which
    nginx = _program("nginx", settings.nginx, look_up)
    prometheus = _program("prometheus", settings.prometheus, look_up)
    choices = (
        Choice("shape", NAMES["native"], reason),
        _engine(settings, look_up),
        _entrance(settings, nginx),
        _metrics(settings, prometheus),
    )
    return Shape("native", nginx, prometheus, choices)


def url(settings: Settings, host: str = "localhost") -> str:
    """Where Docker publishes the front door."""
    port = settings.public_https_port
    return f"https://{host}" if port == _HTTPS else f"https://{host}:{port}"


def _kind(settings: Settings, machine: Machine) -> tuple[Kind, str]:
    wish, reason = settings.shape, f"SHAPE={settings.shape}"
    if wish == "native":
        return "native", reason
    if wish == "auto" and (files := settings.environment.get("COMPOSE_FILE")):
        # Who names the files has chosen: those of the override are what a machine without a GPU needs.
        wish, reason = ("cpu" if CPU_FILE in files else "gpu"), f"COMPOSE_FILE={files}"
    trouble = machine.docker_trouble or (machine.gpu_trouble if wish == "gpu" else "")
    if trouble and wish != "auto":
        raise StackError(f"{reason} cannot be had: {trouble}.")
    if wish == "auto" and machine.has_gpu and (idle := trouble or machine.gpu_trouble):
        other = "native" if machine.docker_trouble else "cpu"
        raise StackError(
            f"This machine has an NVIDIA GPU, which would not be used: {idle}. "
            f"To start without it all the same: make up SHAPE={other}"
        )
    if trouble:
        return "native", trouble
    if wish != "auto":
        return wish, f"{reason}; {machine.docker}"
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
            Choice("entrance", f"TLS at {url(settings)}", "nginx is in Docker too"),
            Choice("metrics", f"Grafana at {url(settings)}/grafana/", "with Prometheus behind it"),
        ),
    )


def _engine(settings: Settings, which: Callable[[str], str | None]) -> Choice:
    alone = which("nvidia-smi") is not None
    return _llamacpp(settings, "the native shape leaves a GPU alone" if alone else "no NVIDIA GPU found")


def _llamacpp(settings: Settings, reason: str) -> Choice:
    is_demo = Path(settings.llamacpp_model) == settings.root / _DEMO_MODEL
    model = "the demo model" if is_demo else Path(settings.llamacpp_model).name
    why_model = "" if is_demo else "; the model is the one of LLAMACPP_MODEL"
    return Choice("engine", f"llama.cpp on CPU with {model}", f"{reason}{why_model}")


def _entrance(settings: Settings, nginx: Path | None) -> Choice:
    if nginx is not None:
        return Choice("entrance", f"TLS at https://127.0.0.1:{settings.https_port}", f"nginx is {nginx}")
    return Choice(
        "entrance",
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


def _program(name: str, wish: str, which: Callable[[str], str | None]) -> Path | None:
    """The program for `name`: looked for (`auto`), left out (`off`), or the path that was wished."""
    if wish == "off":
        return None
    found = which(name if wish == "auto" else wish)
    if found is None and wish != "auto":
        raise SettingsError(f"{name.upper()}={wish!r} is no program here: 'auto', 'off' or the path of one is allowed.")
    return Path(found) if found is not None else None


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_SERVER_DIRECTORIES))

"""Which form of the stack a start takes, and why: the one place that decides, and says so."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glasshouse.errors import SettingsError
from glasshouse.settings import Settings

# Where system packages put servers; the PATH of an ordinary user on Debian leaves these out.
_SERVER_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
_INSTALL = {"nginx": "apt-get install -y nginx-light", "prometheus": "apt-get install -y prometheus"}
_DEMO_MODEL = Path("models/demo/glasshouse-demo.gguf")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one part, and the reason as a person reads it."""

    part: str
    chosen: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of the stack. `nginx` and `prometheus` are the programs, or None where they are left out."""

    kind: Literal["native"]
    reason: str
    nginx: Path | None
    prometheus: Path | None
    choices: tuple[Choice, ...]


def choose(settings: Settings, which: Callable[[str], str | None] | None = None) -> Shape:
    """Decides the shape from the settings and from what this machine has.

    Raises:
        SettingsError: NGINX or PROMETHEUS names a program that is not there.
    """
    look_up = which or _which
    nginx = _program("nginx", settings.nginx, look_up)
    prometheus = _program("prometheus", settings.prometheus, look_up)
    reason = "Docker Compose files are not part of this version yet"
    return Shape(
        kind="native",
        reason=reason,
        nginx=nginx,
        prometheus=prometheus,
        choices=(
            Choice("shape", "native", reason),
            _engine(settings, look_up),
            _entrance(settings, nginx),
            _metrics(settings, prometheus),
        ),
    )


def _engine(settings: Settings, which: Callable[[str], str | None]) -> Choice:
    is_demo = Path(settings.llamacpp_model) == settings.root / _DEMO_MODEL
    model = "the demo model" if is_demo else Path(settings.llamacpp_model).name
    why_model = "" if is_demo else "; the model is the one of LLAMACPP_MODEL"
    if which("nvidia-smi") is None:
        return Choice("engine", f"llama.cpp on CPU with {model}", f"no NVIDIA GPU found{why_model}")
    return Choice("engine", f"llama.cpp on CPU with {model}", f"the native shape leaves a GPU alone{why_model}")


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

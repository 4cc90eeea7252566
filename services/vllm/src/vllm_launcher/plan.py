"""The options that vLLM starts with: model file, environment and command line merged and checked."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import ConfigurationError
from vllm_launcher.environment import environment_options
from vllm_launcher.model_file import read_model_file
from vllm_launcher.options import Options
from vllm_launcher.settings import Settings

_MAX_PORT = 65535
_COMMIT = re.compile(r"[0-9a-f]{40}")
# "models/" could be the owner of a repository, but no such owner exists.
_LOCAL_PREFIXES = ("./", "../", "/", "models/")
_DEFAULTS: Options = {
    "host": ("127.0.0.1",),
    "port": ("8001",),
    "disable-access-log-for-endpoints": ("/health,/metrics,/v1/models",),  # polled every few seconds
}


@dataclass(frozen=True, slots=True)
class Plan:
    """vLLM's options, and those of them that the launcher itself needs.

    Attributes:
        model: repository name or directory.
        served_name: the model's name for clients.
        host: address that it listens on.
        port: its TCP port.
        drain_seconds: how long running requests may take to finish at a stop.
        options: all options but the model.
    """

    model: str
    served_name: str
    host: str
    port: int
    drain_seconds: float
    options: Options


def make_plan(settings: Settings, environment: Mapping[str, str], arguments: Options) -> Plan:
    """Merge command line over environment over model file, and check the result.

    Raises:
        ConfigurationError: no model is named, or the options cannot work together.
    """
    file = read_model_file(settings.model_file) if settings.model_file is not None else {}
    # Whole seconds, rounded up: 0 would abort running requests.
    drain: Options = {"shutdown-timeout": (str(math.ceil(settings.stop_grace)),)}
    options = _DEFAULTS | drain | file | environment_options(environment) | arguments
    model = _single(options.pop("model", ()))
    if not model:
        raise ConfigurationError(
            "VLLM_MODEL_FILE is not set and no model is named; set it to a file like services/vllm/models/demo.yaml, "
            "or set VLLM_MODEL."
        )
    if model.startswith(_LOCAL_PREFIXES) and not Path(model).is_dir():
        raise ConfigurationError(
            f"model={model} is not a directory seen from {Path.cwd()}; name one, or a repository like owner/name."
        )
    _require_pinned_code(model, options)
    names = options.get("served-model-name", ())
    return Plan(
        model=model,
        served_name=names[0] if isinstance(names, tuple) and names else model,
        host=_single(options["host"]),
        port=_port(_single(options["port"]), "VLLM_PORT"),
        drain_seconds=_seconds(_single(options["shutdown-timeout"])),
        options=options,
    )


def local_files(plan: Plan) -> tuple[Path, ...]:
    """Return the files of a local model that reveal a change of it."""
    directory = Path(plan.model)
    return tuple(sorted(directory.glob("*.json"))) + tuple(sorted(directory.glob("*.safetensors")))


def _require_pinned_code(model: str, options: Options) -> None:
    if options.get("trust-remote-code") is not True or os.path.isdir(model):  # noqa: PTH112 -- it may be no path
        return
    revision = _single(options.get("revision", ()))
    if not _COMMIT.fullmatch(revision):
        raise ConfigurationError(
            f"trust-remote-code runs the code of {model} on this machine, and revision={revision or '(not set)'} does "
            "not pin it; set revision to the 40 hexadecimal digits of the commit that you have read."
        )


def _port(text: str, name: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 1 <= port <= _MAX_PORT:
        raise ConfigurationError(f"{name}={text} cannot be used; it must be a port from 1 to {_MAX_PORT}.")
    return port


def _seconds(text: str) -> float:
    if not text.isdecimal():
        raise ConfigurationError(f"shutdown-timeout={text} cannot be used; it must be whole seconds.")
    return float(text)


def _single(value: bool | tuple[str, ...]) -> str:
    return value[0] if isinstance(value, tuple) and value else ""

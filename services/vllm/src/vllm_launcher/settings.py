"""The launcher's own settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from launcher.errors import ConfigurationError
from launcher.key_file import VARIABLE as KEY_FILE
from launcher.key_file import read_keys
from vllm_launcher.environment import API_KEY_VARIABLE

_HIGHEST_PORT = 65535
_LONGEST_GRACE = 3600.0
_LONGEST_DELAY = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the model file is, where the status port listens, how a stop goes.

    Attributes:
        model_file: YAML file of vLLM's options (VLLM_MODEL_FILE), or None when VLLM_MODEL names a model instead.
        status_host: address of the status port (VLLM_STATUS_HOST).
        status_port: its TCP port (VLLM_STATUS_PORT).
        stop_grace: seconds that running requests get at a stop (VLLM_STOP_GRACE).
        drain_delay: seconds before, in which the engine still takes new requests while the status port says draining,
            so that gateways see it (VLLM_DRAIN_DELAY).
        python: the interpreter that has vLLM (VLLM_PYTHON); empty means the launcher's own, then `vllm` on the PATH.
        key_file: file with the key that clients must show (ENGINE_KEY_FILE); empty for none.
        given_key: seed 002's VLLM_API_KEY, used when no file is named.
    """

    model_file: Path | None
    status_host: str
    status_port: int
    stop_grace: float
    drain_delay: float
    python: str
    key_file: str
    given_key: str | None = field(repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str], arguments: Mapping[str, str]) -> Self:
        """Read the environment and the launcher's own arguments, which win.

        Raises:
            ConfigurationError: a value is not allowed.
        """

        def of(name: str, default: str = "") -> str:
            variable = "VLLM_" + name.upper().replace("-", "_")
            return arguments.get(name) or environment.get(variable) or default

        file = of("model-file")
        return cls(
            model_file=Path(file) if file else None,
            status_host=of("status-host", "127.0.0.1"),
            status_port=read_port(of("status-port", "8101"), "VLLM_STATUS_PORT"),
            stop_grace=_seconds(of("stop-grace", "30"), "VLLM_STOP_GRACE", _LONGEST_GRACE),
            drain_delay=_seconds(of("drain-delay", "2.5"), "VLLM_DRAIN_DELAY", _LONGEST_DELAY),
            python=of("python"),
            key_file=environment.get(KEY_FILE, ""),
            given_key=environment.get(API_KEY_VARIABLE) or None,
        )

    def keys(self) -> tuple[str, ...]:
        """Read the keys now, so that new ones count from the next start on.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        return read_keys(self.key_file) or ((self.given_key,) if self.given_key else ())


def read_port(text: str, name: str) -> int:
    """Read a TCP port.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= _HIGHEST_PORT:
        raise ConfigurationError(f"{name}={text} cannot be used; it must be a port from 1 to {_HIGHEST_PORT}.")
    return port


def _seconds(text: str, name: str, highest: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= highest:
        raise ConfigurationError(f"{name}={text} cannot be used; it must be seconds from 0 to {highest:g}.")
    return seconds

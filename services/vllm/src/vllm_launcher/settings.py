"""The launcher's own settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from launcher.key_file import read_keys
from launcher.settings import (
    DrainDelay,
    EngineKeyFile,
    ServiceSettings,
    StatusHost,
    StatusPort,
    StopGrace,
    configuration_errors,
)


class Settings(ServiceSettings):
    """The settings of vLLM's launcher: `VLLM_<NAME>` in the environment, `--<name>` on the command line.

    Only ENGINE_KEY_FILE has no prefix, since every engine shares it. Keys are never read from the command line, which
    every process on the machine can see.
    """

    model_config = SettingsConfigDict(env_prefix="VLLM_")

    model_file: Annotated[
        Path | None, Field(description="YAML file of vLLM's options; without it VLLM_MODEL names the model")
    ] = None
    status_host: StatusHost = "127.0.0.1"
    status_port: StatusPort = 8101
    stop_grace: StopGrace = 30.0
    drain_delay: DrainDelay = 2.5
    python: Annotated[
        str,
        Field(description="the interpreter that has vLLM; empty: the launcher's own, then `vllm` on the PATH"),
    ] = ""
    engine_key_file: EngineKeyFile = ""
    api_key: Annotated[str, Field(repr=False, description="vLLM's own variable, used when no key file is named")] = ""

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """Read the environment, and over it the launcher's options of the command line; empty ones count as not set.

        Args:
            options: name as on the command line, without the dashes in front → value.

        Raises:
            ConfigurationError: a value is not allowed.
        """
        values = {name.replace("-", "_"): text for name, text in options.items() if text}
        with configuration_errors(cls):
            return cls(**values)  # type: ignore[arg-type]  # texts, which pydantic converts as it does variables

    def keys(self) -> tuple[str, ...]:
        """Read the keys now, so that new ones take effect at the next start.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        return read_keys(self.engine_key_file) or ((self.api_key,) if self.api_key else ())


LAUNCHER_OPTIONS = frozenset(
    name.replace("_", "-") for name in Settings.model_fields if name not in {"engine_key_file", "api_key"}
)

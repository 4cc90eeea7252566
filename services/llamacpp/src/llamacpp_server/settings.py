"""What can be set: command line over environment over file, read once."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from launcher.errors import ConfigurationError

_PREFIX = "LLAMACPP_"
_FILE_VARIABLE = "LLAMACPP_SETTINGS_FILE"

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """The settings of the llama.cpp server.

    Each is `LLAMACPP_<NAME>` in the environment, `--<name>` on the command line, and `<name>` in the TOML file that
    LLAMACPP_SETTINGS_FILE names; only ENGINE_KEY_FILE has no prefix, since every engine shares it.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        cli_kebab_case=True,
        cli_exit_on_error=False,
        cli_prog_name="python -m llamacpp_server",
    )

    model: Annotated[Path, Field(description="the .gguf file")] = Path("models/demo/glasshouse-demo.gguf")
    alias: Annotated[str, Field(description="name that clients use; the file's name without .gguf when empty")] = ""
    host: Annotated[str, Field(description="address of the engine")] = "127.0.0.1"
    port: Annotated[Port, Field(description="port of the engine")] = 8002
    status_host: Annotated[str, Field(description="address of the status port")] = "127.0.0.1"
    status_port: Annotated[Port, Field(description="port of /status, /livez and /metrics of the launcher")] = 8102
    ctx: Annotated[
        int,
        Field(
            ge=64,
            description=(
                "tokens of prompt and answer that ONE request may use; llama.cpp divides its n_ctx by the number of "
                "slots, so it gets LLAMACPP_CTX x LLAMACPP_PARALLEL; never more than the model was trained with"
            ),
        ),
    ] = 4096
    parallel: Annotated[int, Field(ge=1, le=256, description="slots: requests that are computed together")] = 4
    threads: Annotated[
        int, Field(ge=1, le=512, default_factory=lambda: len(os.sched_getaffinity(0)), description="CPU threads")
    ]
    embeddings: Annotated[bool, Field(description="serve /v1/embeddings besides chat")] = True
    embedding_tokens: Annotated[
        int,
        Field(
            ge=32,
            description=(
                "longest input of /v1/embeddings, in tokens; llama.cpp takes it whole, so this is its batch size too "
                "while embeddings are on, and buffers of that size are kept"
            ),
        ),
    ] = 512
    gpu_layers: Annotated[int, Field(ge=-1, description="layers on the GPU; -1 is as many as fit, 0 none")] = -1
    lora: Annotated[str, Field(description="LoRA adapters (.gguf), comma-separated; applied to every request")] = ""
    stop_grace: Annotated[float, Field(ge=0, le=3600, description="seconds that running requests get at a stop")] = 30.0
    drain_delay: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            description=(
                "seconds of it in which the engine still takes new requests while the status port says draining; more "
                "than twice the gateway's DISCOVERY_INTERVAL"
            ),
        ),
    ] = 2.5
    engine_key_file: Annotated[
        str,
        Field(validation_alias="engine_key_file", description="file with the key that clients must show; empty: none"),
    ] = ""

    @property
    def served_name(self) -> str:
        """The model's name for clients."""
        return self.alias or self.model.stem

    @property
    def lora_paths(self) -> tuple[Path, ...]:
        """The adapters' files."""
        return tuple(Path(part.strip()) for part in self.lora.split(",") if part.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments (the command line is added in front), environment, file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(_FILE_VARIABLE, "")
        if not file:
            return init_settings, env_settings
        if not Path(file).is_file():
            raise ConfigurationError(f"{_FILE_VARIABLE}={file} is not a file; name a TOML file, or leave it empty.")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @classmethod
    def read(cls, arguments: list[str]) -> Self:
        """Read command line, environment and file.

        Raises:
            ConfigurationError: a value is not allowed.
        """
        try:
            return CliApp.run(cls, cli_args=arguments)
        except ValidationError as error:
            raise ConfigurationError(_sentence(error)) from error
        except (SettingsError, ValueError) as error:
            raise ConfigurationError(f"The settings cannot be read: {error}.") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    variable = name.upper() if name == "engine_key_file" else _PREFIX + name.upper()
    if first["type"] == "extra_forbidden":
        return f"{name} is no setting; allowed are {', '.join(Settings.model_fields)}."
    allowed = first["msg"].removeprefix("Input should be ").replace("a valid integer, unable", "an integer: unable")
    return f"{variable}={first['input']} cannot be used; it must be {allowed}."

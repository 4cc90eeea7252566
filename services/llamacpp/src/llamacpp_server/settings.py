"""Typed settings: command line over environment over file, read once."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from launcher.errors import ConfigurationError
from launcher.settings import DrainDelay, EngineKeyFile, Port, ServiceSettings, StatusHost, StatusPort, StopGrace

_FILE_VARIABLE = "LLAMACPP_SETTINGS_FILE"


class Settings(ServiceSettings):
    """The settings of the llama.cpp server.

    Each is `LLAMACPP_<NAME>` in the environment, `--<name>` on the command line, and `<name>` in the TOML file that
    LLAMACPP_SETTINGS_FILE names; only ENGINE_KEY_FILE has no prefix, since every engine shares it.
    """

    model_config = SettingsConfigDict(env_prefix="LLAMACPP_", cli_prog_name="python -m llamacpp_server")

    model: Annotated[Path, Field(description="the .gguf file")] = Path("models/demo/glasshouse-demo.gguf")
    alias: Annotated[str, Field(description="name that clients use; the file's name without .gguf when empty")] = ""
    host: Annotated[str, Field(description="address of the engine")] = "127.0.0.1"
    port: Annotated[Port, Field(description="port of the engine")] = 8002
    status_host: StatusHost = "127.0.0.1"
    status_port: StatusPort = 8102
    ctx: Annotated[
        int,
        Field(
            ge=64,
            description=(
                "tokens of prompt and completion that ONE request may use; llama.cpp divides its n_ctx by the number "
                "of slots, so it gets LLAMACPP_CTX x LLAMACPP_PARALLEL; never more than the model was trained with"
            ),
        ),
    ] = 4096
    parallel: Annotated[int, Field(ge=1, le=256, description="slots: requests that are batched together")] = 4
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
    stop_grace: StopGrace = 30.0
    drain_delay: DrainDelay = 2.5
    engine_key_file: EngineKeyFile = ""

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
        """Order the sources: arguments (pydantic puts the command line in front), environment, file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(_FILE_VARIABLE, "")
        if not file:
            return init_settings, env_settings
        if not Path(file).is_file():
            raise ConfigurationError(f"{_FILE_VARIABLE}={file} is not a file; name a TOML file, or leave it empty.")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

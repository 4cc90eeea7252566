"""What can be set: command line over environment, read once."""

import socket
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from gpu_exporter.errors import ConfigurationError

_PREFIX = "GPU_EXPORTER_"


class Settings(BaseSettings):
    """The settings of the GPU exporter: `GPU_EXPORTER_<NAME>` in the environment, `--<name>` on the command line."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        cli_kebab_case=True,
        cli_exit_on_error=False,
        cli_prog_name="python -m gpu_exporter",
    )

    host: Annotated[str, Field(description="address to listen at")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="port of /metrics and /healthz")] = 9400
    timeout: Annotated[
        float,
        Field(
            ge=0.1,
            le=60,
            description=(
                "seconds that reading all GPUs may take; after that a scrape says that they could not be read, so it "
                "has to be below Prometheus' scrape_timeout"
            ),
        ),
    ] = 3.0
    expected: Annotated[
        int | None, Field(ge=0, le=1024, description="GPUs that should be there; unset, the most that were ever seen")
    ] = None
    replay: Annotated[
        Path | None,
        Field(
            description="a saved answer of /metrics to play back, labelled as such, instead of reading a GPU: for demos"
        ),
    ] = None
    hostname: Annotated[str, Field(min_length=1, default_factory=socket.gethostname, description="the label Hostname")]

    @classmethod
    def read(cls, arguments: list[str]) -> Self:
        """Read command line and environment.

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
    if first["type"] == "extra_forbidden":
        return f"{name} is no setting; allowed are {', '.join(Settings.model_fields)}."
    allowed = first["msg"].removeprefix("Input should be ").replace("a valid integer, unable", "an integer: unable")
    return f"{_PREFIX}{name.upper()}={first['input']} cannot be used; it must be {allowed}."

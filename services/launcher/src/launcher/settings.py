"""What the services' typed settings share: where values come from, and how a wrong one is reported."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from launcher.errors import ConfigurationError

Port = Annotated[int, Field(ge=1, le=65535)]
StatusHost = Annotated[str, Field(description="address of the status port")]
StatusPort = Annotated[Port, Field(description="port of /status, /livez and /metrics of the launcher")]
StopGrace = Annotated[float, Field(ge=0, le=3600, description="seconds that running requests get at a stop")]
DrainDelay = Annotated[
    float,
    Field(
        ge=0,
        le=60,
        description=(
            "seconds of it in which the engine still takes new requests while the status port says draining; more "
            "than twice the gateway's DISCOVERY_INTERVAL"
        ),
    ),
]
EngineKeyFile = Annotated[
    str,  # without the service's prefix, since every engine shares it
    Field(validation_alias="engine_key_file", description="file with the key that clients must show; empty: none"),
]


class ServiceSettings(BaseSettings):
    """Settings of a service: `<PREFIX>_<NAME>` in the environment, `--<name>` on the command line; read once.

    A subclass sets `env_prefix` and `cli_prog_name`. An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_ignore_empty=True, cli_kebab_case=True, cli_exit_on_error=False
    )

    @classmethod
    def read(cls, arguments: list[str]) -> Self:
        """Read command line and environment; the command line wins.

        Raises:
            ConfigurationError: a value is not allowed.
        """
        with configuration_errors(cls):
            return CliApp.run(cls, cli_args=arguments)


@contextlib.contextmanager
def configuration_errors(settings: type[BaseSettings]) -> Iterator[None]:
    """Turn pydantic's errors into one sentence that names the variable.

    Raises:
        ConfigurationError: a value is not allowed, or a source cannot be read.
    """
    try:
        yield
    except ValidationError as error:
        raise ConfigurationError(_message(settings, error)) from error
    except (SettingsError, ValueError) as error:
        raise ConfigurationError(f"The settings cannot be read: {error}.") from error


def _message(settings: type[BaseSettings], error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    field = settings.model_fields.get(name)
    if field is None:
        return f"{name} is no setting; allowed are {', '.join(settings.model_fields)}."
    prefix = "" if field.validation_alias == name else settings.model_config.get("env_prefix", "")
    allowed = first["msg"].removeprefix("Input should be ").replace("a valid integer, unable", "an integer: unable")
    return f"{prefix}{name.upper()}={first['input']} cannot be used; it must be {allowed}."

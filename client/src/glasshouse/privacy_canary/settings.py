"""The settings of the privacy canary, a service of its own: `PRIVACY_CANARY_<NAME>` in its environment.

Those without a description are set by `compose.yaml`, or by `make up` where the stack runs without Docker.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from glasshouse.errors import SettingsError
from glasshouse.setting_types import Allowed, Port, whole


def _named(value: object, _: dict[str, object]) -> object:
    """`name=value` pairs, separated by commas, as a dictionary."""
    if not isinstance(value, str):
        return value
    # A comma that no name follows is part of a path.
    pairs = [item.strip().partition("=") for item in re.split(r",(?=\s*[\w-]+=)", value) if item.strip()]
    if not all(name and target for name, _, target in pairs):
        raise ValueError(_PAIRS)
    return {name: target for name, _, target in pairs}


_PAIRS = "name=value, separated by commas"
Named = Annotated[dict[str, str], NoDecode, Allowed(_PAIRS, _named)]


class Settings(BaseSettings):
    """What the canary reads, and how often.

    Attributes:
        url: The public API, without /v1.
        certificate: The one certificate to trust; unset, what the system trusts.
        key_file: The canary's own API key.
        engine_key_file: What the engines' metrics pages ask for, if they do.
        logs: Log files by the service that writes them. The one named `gateway` must have the canary's requests.
        truncate_logs: Whether the files are copies that nobody else shortens.
        pages: Addresses of metrics pages by name.
        prometheus: Its address; empty where there is none.
        grafana: Its address; empty where there is none.
        grafana_password_file: The password of its user admin.
        settle: Seconds from the prompts until everything that they cause is written and scraped.
    """

    model_config = SettingsConfigDict(
        env_prefix="PRIVACY_CANARY_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    interval: Annotated[
        int, whole(60, 21_600), Field(description="Seconds between two runs of the privacy canary.")
    ] = 3600
    host: str = "127.0.0.1"
    port: Annotated[Port, Field(description="Port of the privacy canary's metrics.")] = 9097
    url: str = "http://127.0.0.1:8000"
    certificate: Path | None = None
    key_file: Path = Path("secrets/privacy-canary/api-key")
    engine_key_file: Path | None = None
    logs: Named = {}
    truncate_logs: bool = False
    pages: Named = {}
    prometheus: str = ""
    grafana: str = ""
    grafana_password_file: Path | None = None
    settle: float = 20.0


def load() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: A variable is wrong; the text names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = f"PRIVACY_CANARY_{str(first['loc'][0]).upper()}"
        raise SettingsError(f"{name} is not allowed: {first['msg']}") from error

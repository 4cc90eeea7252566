"""The gateway's settings: typed, frozen, read once from the environment."""

import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.upstream.engine_key import EngineKey, EngineKeyError

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class SettingsError(Exception):
    """A setting is wrong; the text is one sentence naming it, its value and what is allowed."""


class EngineAddress(NamedTuple):
    """Where one engine listens, and the status port of its launcher, if it has one."""

    name: str
    url: str
    status_url: str | None


class EnginePrice(NamedTuple):
    """What one engine costs per hour: a name from the prices file, or US dollars."""

    engine: str
    price: str


class Settings(BaseSettings):
    """The gateway's settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    engines: Annotated[tuple[EngineAddress, ...], NoDecode] = Field(
        description="Engines: name=url, or name=url+launcher-status-url, separated by commas."
    )
    gateway_host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    gateway_port: Port = Field(8000, description="Port that the gateway listens on; plain HTTP.")
    metrics_host: str = Field("127.0.0.1", description="Address of the gateway's own /metrics.")
    metrics_port: Port = Field(
        9091, description="Port of the gateway's own /metrics, apart from the API so that no client reaches it."
    )
    metrics_dir: Path = Field(
        Path("/dev/shm/glasshouse-metrics"),  # noqa: S108 - tmpfs on purpose; wiped and made 0700 at start
        description="Directory of the workers' counters, on tmpfs and emptied at every start; if it cannot be "
        "written, one of the same name among temporary files is used, as the log says.",
    )
    max_model_series: Annotated[int, Field(ge=1, le=10_000)] = Field(
        16,
        description="Number of models with metrics of their own, from the first one served until the next start; "
        "others count as `other`.",
    )
    max_key_series: Annotated[int, Field(ge=1, le=10_000)] = Field(
        60,
        description="Number of keys with metrics of their own. A start that could create more than 8,000 series is "
        "refused.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Gateway processes; one outruns any L4, and with more, limits are per process."
    )
    keys_file: Path = Field(
        Path("secrets/keys.yaml"), description="File of the API keys, as hashes; re-read when it changes."
    )
    engine_key_file: Path | None = Field(None, description="File with the key that the gateway sends to the engines.")
    engine_prices: Annotated[tuple[EnginePrice, ...], NoDecode] = Field(
        default_factory=tuple,
        description="What an hour of an engine costs: engine=price, separated by commas; a price is a name from "
        "PRICES_FILE (l4, l4-spot, t4, …) or US dollars, such as vllm=l4 or vllm=0.65. It is the price of the "
        "machine, so give it to the engine that owns the GPU. Unset: no costs.",
    )
    prices_file: Path = Field(
        Path("config/prices.yaml"),
        description="File of prices by name, with the weight of an input token in output tokens; read at start.",
    )
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        "info", description="Least severe level that is logged."
    )
    max_body_bytes: Annotated[int, Field(ge=1_024, le=1_073_741_824)] = Field(
        10_485_760,
        description="Largest request body, in bytes; above it 413. Raise it for images and long documents.",
    )
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        2_048,
        description="Clients connected to one gateway process at once; above it 503. Each takes two file descriptors "
        "(ulimit -n).",
    )
    header_timeout: Seconds = Field(
        10, description="Seconds in which a request's head must be complete, and a new connection must have sent one."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=tuple,
        description="Origins whose web pages may call the API, such as https://app.example.com, separated by commas. "
        "Unset: none.",
    )
    connect_timeout: Seconds = Field(2, description="Seconds to connect to an engine before another one is tried.")
    ttft_timeout: Seconds = Field(
        120,
        description="Seconds until the first event of an engine's stream; then another engine is tried, or the "
        "response is 504. A plain response of vLLM comes whole and has no such limit. In any case a request moves on "
        "when its engine is found to make no progress: no token, counters unchanged, and three polls or probes in a "
        "row without a response.",
    )
    idle_timeout: Seconds = Field(
        60,
        description="Seconds without an event in a running stream, or without another byte of a request's body. "
        "Comments and empty events, which only keep a connection alive, do not count.",
    )
    send_timeout: Seconds = Field(30, description="Seconds that a client may stop reading before it is disconnected.")
    total_timeout: Seconds = Field(900, description="Seconds that a request may take in total.")
    discovery_interval: Seconds = Field(
        1, description="Seconds between two polls of an engine: what it serves, and its load."
    )
    probe_interval: Seconds = Field(
        15, description="Seconds after which an engine is probed again: one token, to prove that it generates."
    )
    probe_timeout: Seconds = Field(10, description="Seconds that such a probe may take.")
    shutdown_grace: Annotated[int, Field(ge=1, le=3_600)] = Field(
        30, description="Seconds that running requests get when the stack stops."
    )

    @property
    def last_good_keys(self) -> Path | None:
        """Where workers keep a copy of the newest valid keys file: beside their counters, gone at the next start."""
        return self.metrics_dir / "keys.last-good" if self.metrics_dir.is_dir() else None

    @field_validator("engines", mode="before")
    @classmethod
    def _parse_engines(cls, value: Any) -> Any:
        return parse_engines(value) if isinstance(value, str) else value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _parse_origins(cls, value: Any) -> Any:
        return parse_origins(value) if isinstance(value, str) else value

    @field_validator("engine_prices", mode="before")
    @classmethod
    def _parse_prices(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return parse_prices(value, [engine.name for engine in info.data.get("engines", ())])

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Reads the environment; `overrides` take precedence.

        Raises:
            SettingsError: A variable is missing or wrong; the message names the first one.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise SettingsError(_describe_error(error)) from error

    @classmethod
    def load_or_exit(cls) -> Self:
        """Reads the environment, or exits with status 2 and one sentence on standard error."""
        try:
            settings = cls.load()
            settings.engine_key()
        except SettingsError as error:
            print(f"gateway: {error}", file=sys.stderr)  # noqa: T201 - logging is not set up before the settings
            raise SystemExit(2) from None
        return settings

    def engine_key(self) -> EngineKey | None:
        """The key that engines require, from `engine_key_file`; None if no file is set.

        Raises:
            SettingsError: The file cannot be read, or holds a placeholder or a key that is short enough to guess.
        """
        try:
            return None if self.engine_key_file is None else EngineKey(self.engine_key_file)
        except EngineKeyError as error:
            raise SettingsError(str(error)) from error


def parse_engines(text: str) -> tuple[EngineAddress, ...]:
    """Parses `name=url[+status-url],…` into addresses.

    Raises:
        ValueError: The text is malformed, a name is repeated, or a URL is not http(s)://host[:port].
    """
    engines: dict[str, EngineAddress] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, urls = item.partition("=")
        url, _, status_url = urls.partition("+")
        if not equals or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"{item!r} is not name=url, with a name of letters, digits, - and _")
        if name in engines:
            raise ValueError(f"the engine name {name!r} comes twice")
        for address in filter(None, (url, status_url)):
            _check_url(address)
        if not url:
            raise ValueError(f"the engine {name!r} has no url")
        engines[name] = EngineAddress(name, url.rstrip("/"), status_url.rstrip("/") or None)
    if not engines:
        raise ValueError("at least one engine is needed, such as llamacpp=http://127.0.0.1:8002")
    return tuple(engines.values())


def parse_origins(text: str) -> tuple[str, ...]:
    """Parses `https://app.example.com,…` into origins as browsers send them.

    Raises:
        ValueError: One is not an origin. `*` and `null` are refused, since they would admit any page.
    """
    origins = tuple(filter(None, (part.strip().lower() for part in text.split(","))))
    for origin in origins:
        if not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", origin):
            raise ValueError(
                f"{origin!r} is not scheme://host[:port] and nothing more, such as https://app.example.com"
            )
    return origins


def parse_prices(text: str, engines: Collection[str]) -> tuple[EnginePrice, ...]:
    """Parses `engine=price,…`, each for one of `engines`. Whether the price exists is checked when the file is read.

    Raises:
        ValueError: The text is malformed, or names an engine twice or an unknown one.
    """
    prices: dict[str, EnginePrice] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        engine, equals, price = (part.strip() for part in item.partition("="))
        if not equals or not price:
            raise ValueError(f"{item!r} is not engine=price, such as vllm=l4 or vllm=0.65")
        if engine not in engines:
            raise ValueError(f"ENGINES has no {engine!r}, but {', '.join(engines)}")
        if engine in prices:
            raise ValueError(f"the engine {engine!r} comes twice")
        prices[engine] = EnginePrice(engine, price)
    return tuple(prices.values())


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    extra = parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra:
        raise ValueError(f"{url.rpartition('@')[2]!r} is not http://host:port, and nothing more")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("a port is a whole number up to 65535") from None  # urllib's own text quotes it


def _describe_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]).upper()
    if first["type"] == "missing":
        hint = Settings.model_fields[name.lower()].description
        return f"{name} is not set in the environment. {hint}"
    reason = first["msg"].removeprefix("Value error, ")
    echo = _without_passwords(repr(first["input"]))
    return f"{name}={echo} in the environment is not allowed: {_without_passwords(reason)}."


def _without_passwords(text: str) -> str:
    """The text without anything before an @, as in `//user:password@host`; when in doubt, more is removed."""
    return re.sub(r"//.*@", "//…@", re.sub(r"[^\s'\"/]*@", "…@", text))

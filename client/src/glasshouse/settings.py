"""The settings of the stack: command line (make NAME=value) over environment over `.env` over these defaults.

The programs of the stack read their own variables. Here are those that the command line itself needs, and the
environment that it passes on: `.env` → `VariablesSource` → `Settings` → `Settings.environment` → a program.
"""

import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SkipValidation, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from glasshouse.env_file import VariablesSource
from glasshouse.errors import SettingsError
from glasshouse.setting_types import (
    Allowed,
    Kind,
    ListenHost,
    LocalFile,
    LocalPath,
    Port,
    Program,
    PublicHost,
    RequestedShape,
    Retention,
    Switch,
    whole,
)

__all__ = ["Kind", "RequestedShape", "Settings", "find_root", "load", "settings_here"]

_MAX_SOCKET_PATH = 90  # a Unix socket's path may have 104 bytes (macOS) or 108 (Linux), with supervisord's suffix
# A first start on the GPU downloads the model; the time to pull or build images is not counted.
_START_TIMEOUTS_S: dict[Kind, int] = {"gpu": 1800, "cpu": 300, "native": 120}
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made there, not a guessable file
_KILL_MARGIN_S = 5
# What programs get as it was read: paths absolute, ports and durations with our defaults.
_PASSED_ON = (
    *("run_dir", "secrets_dir", "keys_file", "engine_key_file", "prices_file", "metrics_dir"),
    *("gateway_host", "gateway_port", "metrics_host", "metrics_port", "shutdown_grace", "stop_grace"),
    *("llamacpp_model", "llamacpp_port", "llamacpp_status_port"),
)


class Settings(BaseSettings):
    """What the command line needs to know; durations are seconds, paths absolute.

    A field with a description is a setting: the variable of its name in capitals.

    Attributes:
        root: the checkout.
        given: the environment without its empty variables, which count as not set; `.env` is not in it.
        variables: `given` over `.env`.
        https_port: nginx's without Docker; `public_http_port` and `public_https_port` are what Docker publishes.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", validate_default=True, hide_input_in_errors=True)

    root: Path
    given: SkipValidation[Mapping[str, str]] = Field(repr=False)
    variables: SkipValidation[Mapping[str, str]] = Field(repr=False)

    shape: RequestedShape = Field(
        "auto",
        description="How to run: `gpu` (Docker with a GPU), `cpu` (Docker without one), `native` (without Docker), or "
        "`auto`: what this machine can do. `auto` refuses to start where an NVIDIA GPU would stay unused.",
    )
    https_port: Port = Field(
        8443,
        description="Port of nginx with TLS. Without Docker it listens on 127.0.0.1; in Docker the default is 443, on "
        "every address.",
    )
    tls_domain: ListenHost = Field(
        "",
        description="Domain name of this machine: used in the certificate, in redirects and in links, and what ACME "
        "requests a certificate for. Browsers are then told to use HTTPS only (HSTS).",
    )
    public_address: PublicHost = Field(
        "",
        description="Public address of this machine (an IPv6 address in brackets), or a name of it: used in the "
        "self-signed certificate and, without TLS_DOMAIN, in links.",
    )
    prometheus_port: Port = Field(9090, description="Port of Prometheus, on 127.0.0.1, if Prometheus is installed.")
    prometheus_retention: Retention = Field("15d", description="How long Prometheus keeps its data: m, h, d, w or y.")
    nginx: Program = Field(
        "auto",
        description="`auto`: used if found; `off`: not used, the API is then plain HTTP; or the path of the program.",
    )
    prometheus: Program = Field(
        "auto", description="`auto`: used if found; `off`: not used; or the path of the program."
    )
    privacy_canary: Switch = Field(False, description="Whether the privacy canary runs and has a key: docs/privacy.md.")
    privacy_canary_port: Port = 9097
    run_dir: LocalPath = Field(Path(".run"), description="Directory of logs, sockets, PID files and Prometheus' data.")
    secrets_dir: LocalPath = Field(
        Path("secrets"),
        description="Directory of keys and certificate, which the first start creates. A relative path begins with ./ "
        "for Docker's sake.",
    )
    keys_file: LocalPath = Field(default_factory=lambda data: _below(data, "secrets_dir", "gateway/keys.yaml"))
    engine_key_file: LocalPath = Field(default_factory=lambda data: _below(data, "secrets_dir", "engine/engine-key"))
    start_timeout: Annotated[int | None, whole(1, 7200)] = Field(
        None,
        description="Seconds that `make up` waits for the first response before it gives up and stops everything; "
        "large models need more. Unset: 1800 with a GPU, whose first start downloads the model; 300 in Docker without "
        "a GPU; 120 without Docker.",
    )
    stop_grace: Annotated[int, whole(2, 3600 + _KILL_MARGIN_S)] = Field(
        35,
        description="Without Docker: seconds after which a program that does not stop is killed. Must be longer than "
        "SHUTDOWN_GRACE; unset, it is 5 longer. In Docker the containers follow SHUTDOWN_GRACE.",
    )
    shutdown_grace: Annotated[int, whole(1, 3600)] = 30
    public_http_port: Port = Field(
        80,
        validation_alias="HTTP_PORT",
        description="Port of nginx that redirects plain HTTP to HTTPS; it also answers /healthz and ACME.",
    )
    public_https_port: Port = Field(443, validation_alias="HTTPS_PORT")
    gateway_host: ListenHost = "127.0.0.1"
    gateway_port: Port = 8000
    metrics_host: ListenHost = "127.0.0.1"
    metrics_port: Port = 9091
    metrics_dir: LocalPath = Field(default_factory=lambda data: _metrics_dir(data.get("run_dir", Path())))
    prices_file: LocalPath = Path("config/prices.yaml")
    llamacpp_model: LocalFile = "models/demo/glasshouse-demo.gguf"
    llamacpp_port: Port = 8002
    llamacpp_status_port: Port = 8102

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """See pydantic-settings: the environment over `.env`, as Compose reads it."""
        init: dict[str, Any] = init_settings()
        return init_settings, VariablesSource(settings_cls, init["root"] / ".env", init["given"])

    @model_validator(mode="before")
    @classmethod
    def _derive_graces(cls, values: dict[str, Any]) -> dict[str, Any]:
        """One of the two follows from the other."""
        inner, outer = str(values.get("shutdown_grace", "")), str(values.get("stop_grace", ""))
        if outer.isdecimal() and not inner:
            return {**values, "shutdown_grace": max(int(outer) - _KILL_MARGIN_S, 1)}
        if inner.isdecimal() and not outer:
            return {**values, "stop_grace": int(inner) + _KILL_MARGIN_S}
        return values

    @model_validator(mode="after")
    def _check_graces(self) -> Self:
        inner, outer = self.shutdown_grace, self.stop_grace
        if outer <= inner:
            raise ValueError(f"STOP_GRACE={outer} is not allowed: it must be longer than SHUTDOWN_GRACE={inner}.")
        return self

    @property
    def start_timeouts(self) -> Mapping[Kind, int]:
        """How long a start may take."""
        return {kind: self.start_timeout or usual for kind, usual in _START_TIMEOUTS_S.items()}

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """What the certificate is for, beside this machine's own names."""
        return tuple(filter(None, (self.tls_domain, self.public_address.strip("[]"))))

    @property
    def public_host(self) -> str:
        """How others reach this machine, as it stands in a URL; empty if it is not set."""
        return self.tls_domain or self.public_address

    @property
    def api_key_file(self) -> Path:
        """The first key in clear."""
        return self.secrets_dir / "api-key"

    @property
    def certificate(self) -> Path:
        """The certificate that nginx presents; self-signed unless the owner put another there."""
        return self.secrets_dir / "tls" / "cert.pem"

    @property
    def certificate_key(self) -> Path:
        """The certificate's private key."""
        return self.secrets_dir / "tls" / "key.pem"

    @property
    def grafana_password_file(self) -> Path:
        """The password of Grafana's user admin."""
        return self.secrets_dir / "grafana" / "grafana-password"

    @property
    def logs(self) -> Path:
        """One file per program, named after it."""
        return self.run_dir / "logs"

    @property
    def default_metrics_dir(self) -> Path:
        """Where workers keep their counters unless METRICS_DIR is set: in memory where that is possible."""
        return _metrics_dir(self.run_dir)

    @property
    def socket(self) -> Path:
        """Where supervisord listens: in the run directory, or at a short path if that one is too long."""
        path = self.run_dir / "supervisor.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
        return Path("/tmp") / f"glasshouse-{_short_hash(self.run_dir)}.sock"  # noqa: S108 - bound 0700 by supervisord

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What the programs of the stack get: all variables, with the defaults that only we know."""
        defaults = {
            "ENGINES": f"llamacpp=http://127.0.0.1:{self.llamacpp_port}+http://127.0.0.1:{self.llamacpp_status_port}",
            "LLAMACPP_STOP_GRACE": str(self.shutdown_grace),
        }
        values = {name.upper(): str(getattr(self, name)) for name in _PASSED_ON}
        return {**defaults, **self.variables, **values, "PYTHONUNBUFFERED": "1"}

    def shown(self, path: Path) -> str:
        """`path` as a person types it: relative to the working directory, if it is below it."""
        here = Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def find_root(start: Path) -> Path:
    """The checkout that `start` is in, or the one that this package was installed from.

    Raises:
        SettingsError: Neither has a supervisord.conf.
    """
    installed_from = Path(__file__).resolve().parents[3]
    for directory in (start, *start.parents, installed_from):
        if (directory / "supervisord.conf").is_file() and (directory / "services").is_dir():
            return directory
    raise SettingsError("This is not a checkout of Glasshouse: run the command in the directory of supervisord.conf.")


def settings_here() -> Settings:
    """The settings of the checkout that the working directory is in; the init image has none, and keys need none.

    Raises:
        SettingsError: There is no checkout, or a setting is wrong.
    """
    try:
        root = find_root(Path.cwd())
    except SettingsError:
        if not Path(os.environ.get("SECRETS_DIR", "")).is_absolute():
            raise
        root = Path.cwd()
    return load(root, os.environ)


def load(root: Path, environ: Mapping[str, str]) -> Settings:
    """Reads `.env` in `root` and `environ`, which takes precedence.

    Raises:
        SettingsError: A line of `.env` or a variable is wrong; the text names it, its value and what is allowed.
    """
    if not str(root).isprintable():
        raise SettingsError(f"The directory {str(root)!r} is not allowed: use one with a path of printable characters.")
    start: dict[str, Any] = {"root": root, "given": {name: value for name, value in environ.items() if value != ""}}
    try:
        return Settings(**start)
    except ValidationError as error:
        raise SettingsError(_message(error)) from error


def _message(error: ValidationError) -> str:
    """The first error as one sentence that names the variable, its value and what is allowed."""
    first = error.errors(include_url=False, include_context=False)[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    field = next(field for key, field in Settings.model_fields.items() if name in (key, field.validation_alias))
    allowed = next((item.text for item in field.metadata if isinstance(item, Allowed)), first["msg"])
    return f"{name.upper()}={first['input']!r} is not allowed: use {allowed}."


def _below(data: Mapping[str, Any], directory: str, name: str) -> Path:
    return Path(data.get(directory, "")) / name  # a directory that is not allowed is named by itself


def _metrics_dir(run_dir: Path) -> Path:
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK):
        return _SHARED_MEMORY / f"glasshouse-{_short_hash(run_dir)}"
    return run_dir / "metrics"


def _short_hash(path: Path) -> str:
    """Tells two checkouts on one machine, and two users of it, apart."""
    return hashlib.sha256(f"{os.getuid()}:{path}".encode()).hexdigest()[:12]

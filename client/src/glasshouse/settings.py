"""The settings of the stack: command line (make NAME=value) over environment over `.env` over these defaults.

The programs of the stack read their own variables; here are the ones that the command line itself needs, and the
environment that it hands on.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from glasshouse import env_file
from glasshouse.errors import SettingsError

Kind = Literal["gpu", "cpu", "native"]
Wish = Literal["auto", Kind]

_LONGEST_SOCKET_PATH = 90  # a Unix socket's path may have 104 bytes (macOS) or 108 (Linux), with supervisord's ending
# A first start on the GPU downloads the model; what images take to be fetched or built is not counted.
_USUAL_START_S: dict[Kind, int] = {"gpu": 1800, "cpu": 300, "native": 120}
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made there, not a guessable file


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line needs to know; durations are seconds, paths absolute.

    `given` is the environment without its empty variables, which count as not set; `.env` is not in it. `https_port`
    is nginx's natively, `public_http_port` and `public_https_port` are those that Docker publishes. `public_host` is
    how others reach this machine, as it stands in an address; empty where nobody has said.
    """

    root: Path
    shape: Wish
    run_dir: Path
    secrets_dir: Path
    keys_file: Path
    engine_key_file: Path
    gateway_host: str
    gateway_port: int
    metrics_host: str
    metrics_port: int
    metrics_dir: Path
    llamacpp_model: str
    llamacpp_port: int
    llamacpp_status_port: int
    https_port: int
    public_http_port: int
    public_https_port: int
    prometheus_port: int
    prometheus_retention: str
    nginx: str
    prometheus: str
    shutdown_grace: int
    stop_grace: int
    start_timeouts: Mapping[Kind, int]
    certificate_names: tuple[str, ...]
    public_host: str
    given: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def api_key_file(self) -> Path:
        """The first key in clear."""
        return self.secrets_dir / "api-key"

    @property
    def certificate(self) -> Path:
        """The certificate that nginx shows; self-signed unless the owner put another there."""
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
        """One file a program, named after it."""
        return self.run_dir / "logs"

    @property
    def default_metrics_dir(self) -> Path:
        """Where workers keep their counters unless METRICS_DIR says otherwise: in memory where that is possible."""
        return _default_metrics_dir(self.run_dir)

    @property
    def socket(self) -> Path:
        """Where supervisord listens: in the run directory, or beside it in short where that path is too long."""
        path = self.run_dir / "supervisor.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        return Path("/tmp") / f"glasshouse-{_short_hash(self.run_dir)}.sock"  # noqa: S108 - bound 0700 by supervisord

    def shown(self, path: Path) -> str:
        """`path` as a person types it: relative to where they are, when it lies below."""
        here = Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def find_root(start: Path) -> Path:
    """The checkout that `start` lies in, or the one that this package was installed from.

    Raises:
        SettingsError: Neither holds a supervisord.conf.
    """
    installed_from = Path(__file__).resolve().parents[3]
    for directory in (start, *start.parents, installed_from):
        if (directory / "supervisord.conf").is_file() and (directory / "services").is_dir():
            return directory
    raise SettingsError("This is not a checkout of Glasshouse: run the command in the directory of supervisord.conf.")


def settings_here() -> Settings:
    """The settings of the checkout that the working directory lies in; the init image has none, and keys need none.

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
    """Reads `.env` in `root` and `environ`, which beats it.

    Raises:
        SettingsError: A line of `.env` or a variable is wrong; the text names it, its value and what is allowed.
    """
    if not str(root).isprintable():
        raise SettingsError(f"The directory {str(root)!r} is not allowed: one with a path of printable characters is.")
    given = {name: value for name, value in environ.items() if value != ""}
    merged = {**env_file.read(root / ".env", given), **given}
    values = _Values(root, merged)
    run_dir, secrets_dir = values.path("RUN_DIR", ".run"), values.path("SECRETS_DIR", "secrets")
    llamacpp_port, status_port = values.port("LLAMACPP_PORT", 8002), values.port("LLAMACPP_STATUS_PORT", 8102)
    shutdown_grace, stop_grace = values.graces()
    domain, public_address = values.host("TLS_DOMAIN"), values.public_host("PUBLIC_ADDRESS")
    settings = Settings(
        root=root,
        shape=values.wish("SHAPE"),
        run_dir=run_dir,
        secrets_dir=secrets_dir,
        keys_file=values.path("KEYS_FILE", str(secrets_dir / "gateway" / "keys.yaml")),
        engine_key_file=values.path("ENGINE_KEY_FILE", str(secrets_dir / "engine" / "engine-key")),
        gateway_host=values.host("GATEWAY_HOST", "127.0.0.1"),
        gateway_port=values.port("GATEWAY_PORT", 8000),
        metrics_host=values.host("METRICS_HOST", "127.0.0.1"),
        metrics_port=values.port("METRICS_PORT", 9091),
        metrics_dir=values.path("METRICS_DIR", str(_default_metrics_dir(run_dir))),
        llamacpp_model=str(values.path("LLAMACPP_MODEL", "models/demo/glasshouse-demo.gguf")),
        llamacpp_port=llamacpp_port,
        llamacpp_status_port=status_port,
        https_port=values.port("HTTPS_PORT", 8443),
        public_http_port=values.port("HTTP_PORT", 80),
        public_https_port=values.port("HTTPS_PORT", 443),
        prometheus_port=values.port("PROMETHEUS_PORT", 9090),
        prometheus_retention=values.matching("PROMETHEUS_RETENTION", "15d", r"[1-9][0-9]*[mhdwy]", "like 12h or 15d"),
        nginx=merged.get("NGINX", "auto"),
        prometheus=merged.get("PROMETHEUS", "auto"),
        shutdown_grace=shutdown_grace,
        stop_grace=stop_grace,
        start_timeouts={kind: values.whole("START_TIMEOUT", usual, 1, 7200) for kind, usual in _USUAL_START_S.items()},
        certificate_names=tuple(filter(None, (domain, public_address.strip("[]")))),
        public_host=domain or public_address,
        given=given,
        environment={},
    )
    defaults = {
        "ENGINES": f"llamacpp=http://127.0.0.1:{llamacpp_port}+http://127.0.0.1:{status_port}",
        "GATEWAY_HOST": settings.gateway_host,
        "GATEWAY_PORT": str(settings.gateway_port),
        "METRICS_HOST": settings.metrics_host,
        "METRICS_PORT": str(settings.metrics_port),
        "LLAMACPP_PORT": str(llamacpp_port),
        "LLAMACPP_STATUS_PORT": str(status_port),
        "SHUTDOWN_GRACE": str(shutdown_grace),
        "LLAMACPP_STOP_GRACE": str(shutdown_grace),
    }
    # Paths are handed on absolute, so that a program finds them wherever it runs.
    resolved = {
        "RUN_DIR": str(run_dir),
        "SECRETS_DIR": str(secrets_dir),
        "KEYS_FILE": str(settings.keys_file),
        "ENGINE_KEY_FILE": str(settings.engine_key_file),
        "PRICES_FILE": str(values.path("PRICES_FILE", "config/prices.yaml")),
        "METRICS_DIR": str(settings.metrics_dir),
        "LLAMACPP_MODEL": settings.llamacpp_model,
        "STOP_GRACE": str(settings.stop_grace),
        "PYTHONUNBUFFERED": "1",
    }
    environment = {**defaults, **merged, **resolved}
    return Settings(**{**{name: getattr(settings, name) for name in Settings.__slots__}, "environment": environment})


@dataclass(frozen=True, slots=True)
class _Values:
    """Typed look-ups in the merged variables; every refusal names variable, value and what is allowed."""

    root: Path
    variables: Mapping[str, str]

    def path(self, name: str, default: str) -> Path:
        text = self.variables.get(name, default)
        if not text.isprintable():  # such a path breaks lines apart, or cannot be written down at all
            raise SettingsError(f"{name}={text!r} is not allowed: a path of printable characters is.")
        return self.root / Path(text).expanduser()

    def port(self, name: str, default: int) -> int:
        return self.whole(name, default, 1, 65_535)

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        text = self.variables.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,12}", text) or not lowest <= int(text) <= highest:
            raise SettingsError(f"{name}={text!r} is not allowed: a whole number from {lowest} to {highest} is.")
        return int(text)

    def wish(self, name: str) -> Wish:
        text = self.variables.get(name, "auto")
        allowed: tuple[Wish, ...] = get_args(Wish)
        for wish in allowed:
            if text == wish:
                return wish
        raise SettingsError(f"{name}={text!r} is not allowed: {', '.join(allowed[:-1])} or {allowed[-1]} is.")

    def host(self, name: str, default: str = "") -> str:
        """A host name or an IP address."""
        text = self.variables.get(name, default)
        if not re.fullmatch(r"[A-Za-z0-9.:-]{0,253}", text):
            raise SettingsError(f"{name}={text!r} is not allowed: a host name or an address is, without https://.")
        return text

    def public_host(self, name: str) -> str:
        """A host name or an IP address, one of IPv6 in brackets as in a URL; empty when it is not set."""
        text = self.variables.get(name, "")
        if not re.fullmatch(r"[A-Za-z0-9.-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\]", text):
            raise SettingsError(
                f"{name}={text!r} is not allowed: a host name or an address is, without https://, and one of IPv6 in "
                "brackets."
            )
        return text

    def graces(self) -> tuple[int, int]:
        """What running requests get at a stop, and after what a program is killed: the second must be the longer."""
        name, outer_name, margin = "SHUTDOWN_GRACE", "STOP_GRACE", 5
        if outer_name in self.variables and name not in self.variables:
            outer = self.whole(outer_name, 35, 2, 3600 + margin)
            return max(outer - margin, 1), outer
        inner = self.whole(name, 30, 1, 3600)
        outer = self.whole(outer_name, inner + margin, 2, 3600 + margin)
        if outer <= inner:
            raise SettingsError(f"STOP_GRACE={outer} is not allowed: it must be longer than SHUTDOWN_GRACE={inner}.")
        return inner, outer

    def matching(self, name: str, default: str, pattern: str, allowed: str) -> str:
        text = self.variables.get(name, default)
        if not re.fullmatch(pattern, text):
            raise SettingsError(f"{name}={text!r} is not allowed: write it {allowed}.")
        return text


def _default_metrics_dir(run_dir: Path) -> Path:
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK):
        return _SHARED_MEMORY / f"glasshouse-{_short_hash(run_dir)}"
    return run_dir / "metrics"


def _short_hash(path: Path) -> str:
    """Tells two checkouts of one machine, and two users of it, apart."""
    return hashlib.sha256(f"{os.getuid()}:{path}".encode()).hexdigest()[:12]

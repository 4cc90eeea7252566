"""What can be measured, as a table: how each target is started and when it is ready."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import child
from benchmarks.figures import DIRECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[1]
NGINX = Path("/usr/sbin/nginx")  # where Debian's package puts it
READY_TIMEOUT_S = 60.0
PORTS = 100  # how many a run may choose from, from its first one
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")  # of the environment; the caller's settings must not change a figure


class UnavailableError(Exception):
    """A target cannot be started here; the text says why, and the run goes on without it."""


@dataclass(slots=True)
class Place:
    """Where a run takes place.

    Args:
        directory: temporary, for configuration, keys and logs.
        first_port: of those that the run may use on 127.0.0.1.
        key: the one that clients send; made up for this run.
        engine_port: of the mock, once it runs.
    """

    directory: Path
    first_port: int
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    engine_port: int = 0
    _given: set[int] = field(default_factory=set)

    def port(self) -> int:
        """Return a port that nobody listens on.

        Raises:
            UnavailableError: they are all taken.
        """
        for port in range(self.first_port, self.first_port + PORTS):
            if port not in self._given and _is_free(port):
                self._given.add(port)
                return port
        raise UnavailableError(f"no free port from {self.first_port} to {self.first_port + PORTS - 1}")


@dataclass(frozen=True, slots=True)
class Target:
    """One running target.

    Args:
        name: as reported.
        port: that takes requests.
        process: whose CPU is counted.
        metrics_port: of a gateway's own /metrics; 0 for others.
    """

    name: str
    port: int
    process: child.Child
    metrics_port: int = 0


def start_mock(place: Place) -> Target:
    """Start the mock engine, which is the target `direct` and everybody's engine."""
    port = place.engine_port = place.port()
    command = [sys.executable, "-m", "mock_engine", "--port", str(port)]
    return _ready(DIRECT, port, child.start(DIRECT, command, _environment(), place.directory, ROOT), "/health")


def start_nginx(place: Place, workers: int) -> Target:
    """Start a plain proxy.

    Raises:
        UnavailableError: nginx is not installed.
    """
    del workers  # one worker is the least that it can cost
    if not NGINX.exists():
        raise UnavailableError(f"{NGINX.name} is not installed (Debian: apt-get install nginx-light)")
    port = place.port()
    configuration = (ROOT / "benchmarks" / "nginx.conf").read_text(encoding="utf-8")
    values = {"@PORT@": port, "@ENGINE@": f"{child.HOST}:{place.engine_port}", "@DIRECTORY@": place.directory}
    for word, value in values.items():
        configuration = configuration.replace(word, str(value))
    path = place.directory / "nginx.conf"
    path.write_text(configuration, encoding="utf-8")
    command = [str(NGINX), "-c", str(path), "-p", str(place.directory), "-e", str(place.directory / "nginx.log")]
    return _ready("nginx", port, child.start("nginx", command, _environment(), place.directory, ROOT), "/health")


def start_gateway(place: Place, workers: int) -> Target:
    """Start Glasshouse's gateway as it is served, with everything on.

    Raises:
        UnavailableError: it is not there yet.
    """
    configuration = ROOT / "services" / "api" / "gunicorn.conf.py"
    if not configuration.exists():
        raise UnavailableError("services/api/gunicorn.conf.py does not exist")
    name = f"gateway-{workers}"
    port, metrics_port = place.port(), place.port()
    keys = place.directory / f"{name}-keys.yaml"
    digest = hashlib.sha256(place.key.encode()).hexdigest()
    keys.touch(mode=0o600)
    keys.write_text(f"keys:\n  - name: bench\n    sha256: {digest}\n    role: user\n", encoding="utf-8")
    metrics = place.directory / f"{name}-metrics"
    metrics.mkdir(mode=0o700)
    settings = {
        "ENGINES": f"mock=http://{child.HOST}:{place.engine_port}",
        "KEYS_FILE": str(keys),
        "GATEWAY_HOST": child.HOST,
        "GATEWAY_PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "METRICS_DIR": str(metrics),
        "WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", str(configuration.relative_to(ROOT)), "gateway.app:create_app()"]
    process = child.start(name, command, _environment() | settings, place.directory, ROOT)
    return _ready(name, port, process, "/readyz", metrics_port)


# Beside `direct`, which always runs: by the names that the command line takes.
STARTERS: dict[str, Callable[[Place, int], Target]] = {"nginx": start_nginx, "gateway": start_gateway}


def start(place: Place, names: Iterable[str], workers: Iterable[int]) -> tuple[list[Target], dict[str, str]]:
    """Start the mock and the named targets; the gateway once for each number of workers.

    Returns:
        The targets that run, `direct` first, and why the others do not, by name.
    """
    running = [start_mock(place)]
    missing: dict[str, str] = {}
    try:
        for name in names:
            for number in workers if name == "gateway" else (1,):
                try:
                    running.append(STARTERS[name](place, number))
                except UnavailableError as error:
                    missing[f"{name}-{number}" if name == "gateway" else name] = str(error)
    except BaseException:
        stop(running)
        raise
    return running, missing


def stop(targets: Iterable[Target]) -> None:
    """End every target, whatever becomes of the others."""
    for target in targets:
        target.process.stop()


def nginx_version() -> str | None:
    """Return what `nginx -v` says, if there is one."""
    return None if shutil.which(str(NGINX)) is None else child.output([str(NGINX), "-v"])


def _ready(name: str, port: int, process: child.Child, path: str, metrics_port: int = 0) -> Target:
    try:
        process.wait_ready(port, path, READY_TIMEOUT_S)
    except child.NotReadyError as error:
        process.stop()
        raise UnavailableError(str(error)) from error
    except BaseException:
        process.stop()
        raise
    return Target(name, port, process, metrics_port)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((child.HOST, port))
        except OSError:
            return False
    return True

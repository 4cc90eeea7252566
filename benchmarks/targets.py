"""The targets that can be measured: how each is started and when it is ready."""

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
from benchmarks.report import DIRECT
from mock_engine.process import command as mock_engine_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[1]
NGINX = Path("/usr/sbin/nginx")  # where Debian's package puts it
READY_TIMEOUT_S = 60.0
PORTS = 100  # how many a run may choose from, from its first one
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")  # from the environment; the caller's settings must not change a figure


class UnavailableError(Exception):
    """A target cannot be started here; the message says why, and the run continues without it."""


@dataclass(slots=True)
class Workspace:
    """The files and ports of one run.

    Args:
        directory: temporary, for configuration, keys and logs.
        first_port: of the ports that the run may use on 127.0.0.1.
        key: the API key of the clients, generated for this run.
        engine_port: of the mock, once it runs.
    """

    directory: Path
    first_port: int
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    engine_port: int = 0
    _given: set[int] = field(default_factory=set)

    def port(self) -> int:
        """Return a port on which nothing listens.

        Raises:
            UnavailableError: none is free.
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
        port: of its HTTP API.
        process: the root of the tree that is measured.
        metrics_port: of a gateway's /metrics; 0 for others.
    """

    name: str
    port: int
    process: child.Child
    metrics_port: int = 0


def start_mock(workspace: Workspace) -> Target:
    """Start the mock engine, which is the target `direct` and the engine of all others."""
    port = workspace.engine_port = workspace.port()
    command = mock_engine_command("--port", str(port))
    return _ready(DIRECT, port, child.start(DIRECT, command, _environment(), workspace.directory, ROOT), "/health")


def start_nginx(workspace: Workspace, workers: int) -> Target:
    """Start a plain proxy.

    Raises:
        UnavailableError: nginx is not installed.
    """
    del workers  # one worker is the cheapest
    if not NGINX.exists():
        raise UnavailableError(f"{NGINX.name} is not installed (Debian: apt-get install nginx-light)")
    port = workspace.port()
    configuration = (ROOT / "benchmarks" / "nginx.conf").read_text(encoding="utf-8")
    values = {"@PORT@": port, "@ENGINE@": f"{child.HOST}:{workspace.engine_port}", "@DIRECTORY@": workspace.directory}
    for placeholder, value in values.items():
        configuration = configuration.replace(placeholder, str(value))
    path = workspace.directory / "nginx.conf"
    path.write_text(configuration, encoding="utf-8")
    command = [
        str(NGINX),
        "-c",
        str(path),
        "-p",
        str(workspace.directory),
        "-e",
        str(workspace.directory / "nginx.log"),
    ]
    return _ready("nginx", port, child.start("nginx", command, _environment(), workspace.directory, ROOT), "/health")


def start_gateway(workspace: Workspace, workers: int) -> Target:
    """Start Glasshouse's gateway as in production, with everything enabled.

    Raises:
        UnavailableError: this checkout has none.
    """
    configuration = ROOT / "services" / "api" / "gunicorn.conf.py"
    if not configuration.exists():
        raise UnavailableError("services/api/gunicorn.conf.py does not exist")
    name = f"gateway-{workers}"
    port, metrics_port = workspace.port(), workspace.port()
    keys = workspace.directory / f"{name}-keys.yaml"
    digest = hashlib.sha256(workspace.key.encode()).hexdigest()
    keys.touch(mode=0o600)
    keys.write_text(f"keys:\n  - name: bench\n    sha256: {digest}\n    role: user\n", encoding="utf-8")
    metrics = workspace.directory / f"{name}-metrics"
    metrics.mkdir(mode=0o700)
    settings = {
        "ENGINES": f"mock=http://{child.HOST}:{workspace.engine_port}",
        "KEYS_FILE": str(keys),
        "GATEWAY_HOST": child.HOST,
        "GATEWAY_PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "METRICS_DIR": str(metrics),
        "WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", str(configuration.relative_to(ROOT)), "gateway.app:create_app()"]
    process = child.start(name, command, _environment() | settings, workspace.directory, ROOT)
    return _ready(name, port, process, "/readyz", metrics_port)


# By their names on the command line; `direct` always runs.
STARTERS: dict[str, Callable[[Workspace, int], Target]] = {"nginx": start_nginx, "gateway": start_gateway}


def start(workspace: Workspace, names: Iterable[str], workers: Iterable[int]) -> tuple[list[Target], dict[str, str]]:
    """Start the mock and the named targets; one gateway for each number of workers.

    Returns:
        The running targets, `direct` first, and by name why the others do not run.
    """
    running = [start_mock(workspace)]
    missing: dict[str, str] = {}
    try:
        for name in names:
            for number in workers if name == "gateway" else (1,):
                try:
                    running.append(STARTERS[name](workspace, number))
                except UnavailableError as error:
                    missing[f"{name}-{number}" if name == "gateway" else name] = str(error)
    except BaseException:
        stop(running)
        raise
    return running, missing


def stop(targets: Iterable[Target]) -> None:
    """Stop every target."""
    for target in targets:
        target.process.stop()


def nginx_version() -> str | None:
    """Return the output of `nginx -v`; None where nginx is not installed."""
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

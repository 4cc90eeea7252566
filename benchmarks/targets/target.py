"""A target: something that answers chat requests, in front of the engine or the engine itself."""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks import child
from benchmarks.load import Endpoint, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.native_programs import NativePrograms

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 300.0  # LiteLLM takes two minutes on a busy machine
PORTS = 200  # how many a run may choose from, from its first one
PROBE_TIMEOUT_S = 5.0
PROBE_PAUSE_S = 0.02
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")  # from the environment; the caller's settings must not change a figure


class UnavailableError(Exception):
    """A target cannot be started here; the message says why, and the run continues without it."""


@dataclass(slots=True)
class Workspace:
    """The files, ports and programs of one run.

    Args:
        directory: temporary, for configuration, keys and logs.
        first_port: of the ports that the run may use on 127.0.0.1.
        programs: the compiled mock engine and load generator.
        key: the API key of the clients, generated for this run.
        engine_port: of the mock engine, once it runs.
    """

    directory: Path
    first_port: int
    programs: NativePrograms
    key: str = field(default_factory=lambda: f"sk-{secrets.token_hex(32)}")
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

    @property
    def engine_url(self) -> str:
        """Where the mock engine listens."""
        return f"http://{child.HOST}:{self.engine_port}"

    def write(self, name: str, text: str) -> Path:
        """Write a configuration file; return its path."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Target:
    """One running target.

    Args:
        name: as reported.
        endpoint: of its HTTP API.
        process: the root of the tree that is measured.
        started_s: seconds from the start of its process to the first correct answer to a chat.
        metrics_port: of a gateway's /metrics; 0 for others.
    """

    name: str
    endpoint: Endpoint
    process: child.Child
    started_s: float
    metrics_port: int = 0


def launch(
    workspace: Workspace,
    name: str,
    command: Sequence[str],
    endpoint: Endpoint | Callable[[], Endpoint | None],
    environment: Mapping[str, str] | None = None,
    *,
    metrics_port: int = 0,
) -> Target:
    """Start a target, and wait until it has answered a chat.

    Args:
        workspace: of the run.
        name: of the target.
        command: to run.
        endpoint: where it will answer, or what returns that once it is known.
        environment: beside the few variables that are inherited.
        metrics_port: of a gateway's /metrics.

    Raises:
        UnavailableError: it has ended, or does not answer in time.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    began = time.perf_counter()
    process = child.start(name, command, inherited | dict(environment or {}), workspace.directory, ROOT)

    def ready() -> Endpoint | None:
        found = endpoint() if callable(endpoint) else endpoint
        return found if found is not None and answers(found) else None

    try:
        found = process.wait_until(ready, PROBE_PAUSE_S, READY_TIMEOUT_S)
    except child.NotReadyError as error:
        process.stop()
        raise UnavailableError(str(error)) from error
    except BaseException:
        process.stop()
        raise
    return Target(name, found, process, time.perf_counter() - began, metrics_port)


def answers(endpoint: Endpoint) -> bool:
    """Whether a target answers a chat; it is asked with one token, as a probe asks."""
    context = ssl._create_unverified_context() if endpoint.tls else None  # noqa: SLF001, S323 - a certificate of this run
    connection = (
        http.client.HTTPSConnection(child.HOST, endpoint.port, timeout=PROBE_TIMEOUT_S, context=context)
        if endpoint.tls
        else http.client.HTTPConnection(child.HOST, endpoint.port, timeout=PROBE_TIMEOUT_S)
    )
    _, _, body = endpoint.request(Load(1, tokens=1)).partition(b"\r\n\r\n")
    headers = {"authorization": f"Bearer {endpoint.key}", "content-type": "application/json"}
    try:
        connection.request("POST", endpoint.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        return response.status == http.client.OK and "choices" in orjson.loads(content)
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((child.HOST, port))
        except OSError:
            return False
    return True

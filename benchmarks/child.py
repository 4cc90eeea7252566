"""A child process of the benchmarks: started in a session of its own, ready when it responds, ended by its pid."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import psutil

from benchmarks import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
HOST = "127.0.0.1"
POLL_S = 0.1
REQUEST_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 15.0
LOG_TAIL_CHARACTERS = 600


class NotReadyError(Exception):
    """A child ended or was not ready in time; the message has the end of its log."""


@dataclass(slots=True)
class Child:
    """A running child.

    Args:
        name: for messages.
        process: the child itself, the root of its tree.
        log: its standard output and standard error.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The root of the process tree that is measured."""
        return self.process.pid

    def wait_until(self, ready: Callable[[], T | None], pause_s: float, timeout_s: float) -> T:
        """Wait until `ready` returns something, and return it.

        Raises:
            NotReadyError: it has ended, or the timeout is over.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotReadyError(f"{self.name} ended with {self.process.returncode}:\n{self._log_tail()}")
            if (found := ready()) is not None:
                return found
            time.sleep(pause_s)
        raise NotReadyError(f"{self.name} is not ready after {timeout_s:.0f} s:\n{self._log_tail()}")

    def stop(self) -> None:
        """End the process, first with SIGTERM, then with SIGKILL, together with descendants that it has left behind."""
        members = processes.tree(self.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT_S)
        for member in members:  # psutil kills none that has merely got the pid of one that has ended
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()

    def _log_tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:]


def start(name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path, cwd: Path) -> Child:
    """Start a child that writes to a log in `directory`; Ctrl-C does not reach it: the benchmark ends it itself."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, process, log)


def request(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send one small request to a child.

    Raises:
        OSError: refused, reset or timed out.
        http.client.HTTPException: the response is not HTTP.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request(method, path, None if body is None else orjson.dumps(body))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def output(command: Sequence[str]) -> str:
    """Return the output of a short command, standard error included."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=REQUEST_TIMEOUT_S, check=False)
    return (done.stdout + done.stderr).strip()

"""A child process of the harness: started in a session of its own, ready when it says so, ended by its pid."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST = "127.0.0.1"
POLL_S = 0.1
REQUEST_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 15.0
LOG_TAIL_CHARACTERS = 2_000


class NotReadyError(Exception):
    """A child ended or did not become ready in time; the text holds the end of its log."""


@dataclass(slots=True)
class Child:
    """A running child.

    Args:
        name: for messages.
        process: of which only the pid is used to end it.
        log: what it prints.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The root of the process tree that is measured."""
        return self.process.pid

    def wait_ready(self, port: int, path: str, timeout_s: float) -> None:
        """Wait until a page answers 200.

        Raises:
            NotReadyError: it has ended, or the time is up.
        """
        deadline = time.monotonic() + timeout_s
        status = 0
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotReadyError(f"{self.name} ended with {self.process.returncode}:\n{self._log_tail()}")
            try:
                status, _ = request(port, "GET", path)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == http.client.OK:
                return
            time.sleep(POLL_S)
        raise NotReadyError(f"{self.name}: {path} was {status} after {timeout_s:.0f} s:\n{self._log_tail()}")

    def stop(self) -> None:
        """End the process, gently first, then whatever of its children it has left behind."""
        family = processes.tree(self.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT_S)
        for pid, seen in family.items():
            now = processes.read_stat(pid)
            if now is not None and now.started == seen.started:  # else the pid is somebody else's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _log_tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:]


def start(name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path, cwd: Path) -> Child:
    """Start a child that writes to a log in `directory`; Ctrl-C does not reach it: the harness ends it itself."""
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
    """Make one small request of a child.

    Raises:
        OSError: refused, reset or late.
        http.client.HTTPException: the answer is no HTTP.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request(method, path, None if body is None else orjson.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def output(command: Sequence[str]) -> str:
    """Return what a short command prints, on either stream."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=REQUEST_TIMEOUT_S, check=False)
    return (done.stdout + done.stderr).strip()


def pause() -> None:
    """Wait before asking again."""
    time.sleep(POLL_S)

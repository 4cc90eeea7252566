"""Keeps one engine running: start, monitor, drain, and restart after a failure."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import FrameType
from typing import Protocol

from launcher.backoff import Backoff
from launcher.child import Child, Command
from launcher.errors import ConfigurationError, EngineError
from launcher.http_server import serve
from launcher.open_files import raise_open_files_limit
from launcher.status import Status
from launcher.status_port import routes

_POLL_SECONDS = 0.1
_READY_POLL_SECONDS = 0.25
_STABLE_SECONDS = 60.0  # an engine that served for so long is restarted after the initial delay


class Engine(Protocol):
    """What the supervisor needs to know about one kind of engine."""

    @property
    def drain_delay(self) -> float:
        """Seconds for which it still serves after a stop was requested, so that gateways notice that it drains."""

    @property
    def stop_seconds(self) -> float:
        """Seconds that a whole stop may take: the delay, running requests, and the engine's own teardown."""

    def model(self) -> str:
        """Return the model's name, as clients know it."""

    def capacity(self) -> Mapping[str, int]:
        """Return the limits that it is started with, by kind; without those that the engine chooses itself."""

    def version(self) -> str:
        """Return the version of the engine, which is ready; empty when it does not say."""

    def input_fingerprint(self) -> Hashable:
        """Return a fingerprint of the files it starts from: a change ends the wait after a failure."""

    def prepare(self) -> Command:
        """Return the command to run now.

        Raises:
            ConfigurationError: the inputs cannot work.
            EngineError: it cannot be started now, e.g. because its port is taken.
        """

    def handle_log_line(self, line: str) -> str | None:
        """Print what may be printed of a log line, and return the start-up phase that the line begins, if any."""

    def is_ready(self) -> bool:
        """Probe the engine's health endpoint."""

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Let running requests finish, then stop the engine; `give_up` turns true when no time is left."""

    def explain_exit(self, exit_code: int) -> str:
        """Return why the engine exited, as a sentence for the operator."""


class Supervisor:
    """Runs an engine until SIGTERM or SIGINT; a second signal cuts the drain short."""

    def __init__(self, engine: Engine, status: Status, backoff: Backoff) -> None:
        self._engine = engine
        self._status = status
        self._backoff = backoff
        self._signals = 0
        self._stop = threading.Event()

    def run(self) -> None:
        """Supervise from the main thread, until a stop was requested and no process of the engine is left."""
        with self._handled_signals():
            while not self._stop.is_set():
                fingerprint = self._engine.input_fingerprint()
                try:
                    self._run_once()
                except (EngineError, ConfigurationError) as error:
                    self._wait_before_retry(str(error), fingerprint)

    def _run_once(self) -> None:
        self._status.begin_attempt(self._engine.model())
        child = Child(self._engine.prepare(), self._on_log_line)
        try:
            self._monitor(child)
        finally:
            child.close()

    def _monitor(self, child: Child) -> None:
        ready_at: float | None = None
        probe_at = time.monotonic()
        while not self._stop.wait(_POLL_SECONDS):
            if (exit_code := child.exit_code()) is not None:
                child.close()  # reads the last lines of the log, which say why
                if ready_at is not None and time.monotonic() - ready_at > _STABLE_SECONDS:
                    self._backoff.reset()
                raise EngineError(self._engine.explain_exit(exit_code))
            if ready_at is None and time.monotonic() >= probe_at:
                if self._engine.is_ready():
                    ready_at = time.monotonic()
                    self._status.mark_ready(self._engine.capacity(), self._engine.version())
                probe_at = time.monotonic() + _READY_POLL_SECONDS
        self._status.mark_draining("a stop was requested; running requests may finish")
        if ready_at is not None:
            deadline = time.monotonic() + self._engine.stop_seconds
            self._drain(child, lambda: self._signals > 1 or time.monotonic() >= deadline)

    def _drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Report it first, and stop later: a gateway sends requests here until it has polled the status again."""
        child.wait(self._engine.drain_delay, give_up)
        if child.exit_code() is None and not give_up():
            self._engine.drain(child, give_up)

    def _wait_before_retry(self, reason: str, fingerprint: Hashable) -> None:
        seconds = self._backoff.next_delay()
        self._status.mark_failed(reason, time.time() + seconds)
        print(f"launcher: failed: {reason} Next attempt in {seconds:g} s, or when its files change.", flush=True)  # noqa: T201
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stop.wait(_POLL_SECONDS):
            if self._engine.input_fingerprint() != fingerprint:
                self._backoff.reset()
                return

    def _on_log_line(self, line: str) -> None:
        if phase := self._engine.handle_log_line(line):
            self._status.enter_phase(phase)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1
        self._stop.set()

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def supervise(engine: Engine, host: str, port: int) -> None:
    """Keep an engine running until a signal, with its status served at this address.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    if warning := raise_open_files_limit():
        print(f"launcher: {warning}", flush=True)  # noqa: T201 -- beside the engine's log
    status = Status(engine.model())
    with serve(routes(status), host, port, name=f"The status port {host}:{port}"):
        Supervisor(engine, status, Backoff()).run()


def file_fingerprint(path: str | os.PathLike[str]) -> Hashable:
    """Identify a file's content by inode, size and modification time, without reading it; None when it is missing."""
    try:
        stat = os.stat(path)  # noqa: PTH116 -- the path may be a model's name in a registry, not a path at all
    except OSError:
        return None
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)

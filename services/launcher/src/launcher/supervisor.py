"""Keeps one engine running: start, follow, drain, and after a failure try again."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from types import FrameType
from typing import Protocol

from launcher.backoff import Backoff
from launcher.child import Child, Command
from launcher.errors import ConfigurationError, EngineError
from launcher.status import Status

_POLL_SECONDS = 0.1
_READY_POLL_SECONDS = 0.25
_STABLE_SECONDS = 60.0  # an engine that served so long gets the short pause when it dies


class Engine(Protocol):
    """What the supervisor must know about one kind of engine."""

    @property
    def drain_delay(self) -> float:
        """How long it goes on as before after a stop was asked for, so that gateways see in time that it drains."""

    @property
    def stop_seconds(self) -> float:
        """How long all of a stop may take: the delay, running requests, and the engine's own teardown."""

    def model(self) -> str:
        """Name the model, as clients know it."""

    def input_fingerprint(self) -> Hashable:
        """Fingerprint the files it starts from: a change ends the pause after a failure."""

    def prepare(self) -> Command:
        """Say what to run now.

        Raises:
            ConfigurationError: the inputs cannot work.
            EngineError: it cannot be started now, e.g. because its port is taken.
        """

    def handle_log_line(self, line: str) -> str | None:
        """Take a line of its log, print what may be printed, and name the phase that it begins, if any."""

    def is_ready(self) -> bool:
        """Probe the engine."""

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Let running requests finish, and end the engine; `give_up` turns true when there is no time left."""

    def explain_exit(self, exit_code: int) -> str:
        """Explain the end of the engine."""


class Supervisor:
    """Runs an engine until SIGTERM or SIGINT; a second signal cuts the drain short."""

    def __init__(self, engine: Engine, status: Status, backoff: Backoff) -> None:
        self._engine = engine
        self._status = status
        self._backoff = backoff
        self._signals = 0
        self._stop = threading.Event()

    def run(self) -> None:
        """Supervise from the main thread, until a stop was asked for and nothing of the engine runs any more."""
        with self._handled_signals():
            while not self._stop.is_set():
                input_fingerprint = self._engine.input_fingerprint()
                try:
                    self._run_once()
                except (EngineError, ConfigurationError) as error:
                    self._wait_before_retry(str(error), input_fingerprint)

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
                child.close()  # the last lines, which tell why, are read now
                if ready_at is not None and time.monotonic() - ready_at > _STABLE_SECONDS:
                    self._backoff.reset()
                raise EngineError(self._engine.explain_exit(exit_code))
            if ready_at is None and time.monotonic() >= probe_at:
                if self._engine.is_ready():
                    ready_at = time.monotonic()
                    self._status.mark_ready()
                probe_at = time.monotonic() + _READY_POLL_SECONDS
        self._status.mark_draining("a stop was asked for; running requests may finish")
        if ready_at is not None:
            deadline = time.monotonic() + self._engine.stop_seconds
            self._drain(child, lambda: self._signals > 1 or time.monotonic() >= deadline)

    def _drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Say so first, and end later: a gateway sends requests here until it has asked for the status again."""
        child.wait(self._engine.drain_delay, give_up)
        if child.exit_code() is None and not give_up():
            self._engine.drain(child, give_up)

    def _wait_before_retry(self, reason: str, input_fingerprint: Hashable) -> None:
        seconds = self._backoff.next_delay()
        self._status.mark_failed(reason, time.time() + seconds)
        print(f"launcher: failed: {reason} Next try in {seconds:g} s, or when its files change.", flush=True)  # noqa: T201
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stop.wait(_POLL_SECONDS):
            if self._engine.input_fingerprint() != input_fingerprint:
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


def file_fingerprint(path: str | os.PathLike[str]) -> Hashable:
    """Tell a file's content by its inode, size and time of change, without reading it; None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- the path may be a model's name in a registry, not a path at all
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)

"""Keeps one engine running: start, follow, drain, and after a failure try again."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from types import FrameType
from typing import Protocol

from launcher.child import Child, Command
from launcher.errors import ConfigurationError, EngineError
from launcher.pause import GrowingPause
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

    def inputs(self) -> Hashable:
        """Fingerprint the files it starts from: a change ends the pause after a failure."""

    def prepare(self) -> Command:
        """Say what to run now.

        Raises:
            ConfigurationError: the inputs cannot work.
            EngineError: it cannot be started now, e.g. because its port is taken.
        """

    def observe(self, line: str) -> str | None:
        """Take a line of its log, print what may be printed, and name the phase that it begins, if any."""

    def answers(self) -> bool:
        """Probe the engine."""

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Let running requests finish, and end the engine; `give_up` turns true when there is no time left."""

    def why(self, exit_code: int) -> str:
        """Explain the end of the engine."""


class Supervisor:
    """Runs an engine until SIGTERM or SIGINT; a second signal cuts the drain short."""

    def __init__(self, engine: Engine, status: Status, pause: GrowingPause) -> None:
        self._engine = engine
        self._status = status
        self._pause = pause
        self._signals = 0
        self._stop = threading.Event()

    def run(self) -> None:
        """Supervise from the main thread, until a stop was asked for and nothing of the engine runs any more."""
        with self._handled_signals():
            while not self._stop.is_set():
                inputs = self._engine.inputs()
                try:
                    self._attempt()
                except (EngineError, ConfigurationError) as error:
                    self._wait_after(str(error), inputs)

    def _attempt(self) -> None:
        self._status.attempt(self._engine.model())
        child = Child(self._engine.prepare(), self._line)
        try:
            self._follow(child)
        finally:
            child.close()

    def _follow(self, child: Child) -> None:
        up_at: float | None = None
        probe_at = time.monotonic()
        while not self._stop.wait(_POLL_SECONDS):
            if (exit_code := child.exit_code()) is not None:
                child.close()  # the last lines, which tell why, are read now
                if up_at is not None and time.monotonic() - up_at > _STABLE_SECONDS:
                    self._pause.reset()
                raise EngineError(self._engine.why(exit_code))
            if up_at is None and time.monotonic() >= probe_at:
                if self._engine.answers():
                    up_at = time.monotonic()
                    self._status.ready()
                probe_at = time.monotonic() + _READY_POLL_SECONDS
        self._status.draining("a stop was asked for; running requests may finish")
        if up_at is not None:
            deadline = time.monotonic() + self._engine.stop_seconds
            self._drain(child, lambda: self._signals > 1 or time.monotonic() >= deadline)

    def _drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Say so first, and end later: a gateway sends requests here until it has asked for the status again."""
        child.wait(self._engine.drain_delay, give_up)
        if child.exit_code() is None and not give_up():
            self._engine.drain(child, give_up)

    def _wait_after(self, reason: str, inputs: Hashable) -> None:
        seconds = self._pause.take()
        self._status.failed(reason, time.time() + seconds)
        print(f"launcher: failed: {reason} Next try in {seconds:g} s, or when its files change.", flush=True)  # noqa: T201
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stop.wait(_POLL_SECONDS):
            if self._engine.inputs() != inputs:
                self._pause.reset()
                return

    def _line(self, line: str) -> None:
        if phase := self._engine.observe(line):
            self._status.enter(phase)

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


def fingerprint(path: str | os.PathLike[str]) -> Hashable:
    """Tell a file's content by its inode, size and time of change, without reading it; None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- the path may be a model's name in a registry, not a path at all
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)

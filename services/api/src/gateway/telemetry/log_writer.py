"""Where log lines leave the process: from a thread, so that nobody waits for whoever reads them."""

import atexit
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from select import PIPE_BUF
from threading import Event, Lock, Thread
from typing import BinaryIO
from weakref import WeakSet

import orjson

# Bytes that wait for the thread, some 10,000 lines of requests; what comes on top is lost.
_MAX_QUEUED = 4 * 1_048_576
# The thread is woken once in so many seconds: to wake it costs more than to write a line.
_GATHER_S = 0.005
# Between two attempts at a stream that takes nothing.
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.001, 1.0
# A process that ends waits no longer than this for a reader that has stopped.
_EXIT_S = 1.0


class LogWriter:
    """Writes whole lines, in their order, to one stream; when that takes nothing, lines are lost and requests served.

    A full pipe, a full disk and a reader that has gone are all waited for. Several processes may share a pipe: writes
    are of at most `PIPE_BUF` bytes, since longer ones tear each other's lines where the pipe runs full (pipe(7)).

    Args:
        stream: Unbuffered where possible: a buffer's lock would be a second thing to wait for. None: all is lost.

    Attributes:
        on_lost: Called with the number of lines whenever some are lost, by the thread that wrote them.
    """

    _thread: Thread | None

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self.on_lost: Callable[[int], object] = _nobody
        self._begin()
        _writers.add(self)

    def write(self, line: bytes) -> None:
        """Takes a line, which ends with a newline. Never blocks."""
        with self._lock:
            lost = self._stream is None or self._size + len(line) > _MAX_QUEUED
            if lost:
                self._lost += 1
            else:
                self._lines.append(line)
                self._size += len(line)
                if not self._busy:
                    self._rouse()
        if lost:
            self.on_lost(1)

    def flush(self, seconds: float) -> bool:
        """Waits until all lines have gone out; False if they have not within so many seconds."""
        return self._idle.wait(seconds)

    def close(self, seconds: float = _EXIT_S) -> None:
        """Flushes, and ends the thread; a later line starts another one."""
        self.flush(seconds)
        with self._lock:
            self._thread = None
            self._stop.set()
            self._wake.set()

    def _begin(self) -> None:
        """Nothing is queued and no thread runs; so it is in a new process too, whatever its parent was about."""
        self._lock = Lock()
        self._lines: list[bytes] = []
        self._size = self._lost = 0
        self._problem = ""
        self._busy = False
        self._idle = Event()
        self._idle.set()
        self._wake, self._stop = Event(), Event()
        self._thread = None

    def _rouse(self) -> None:
        """Wakes the thread, or starts it. With the lock held."""
        if self._thread is None:
            self._wake, self._stop = Event(), Event()
            thread = Thread(target=self._run, args=(self._wake, self._stop), name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be had now, or the process is ending: the next line tries again
                return
            self._thread = thread
        self._busy = True
        self._idle.clear()
        self._wake.set()

    def _run(self, wake: Event, stop: Event) -> None:
        while not stop.is_set():
            wake.wait()
            wake.clear()
            time.sleep(_GATHER_S)
            while lines := self._take():
                for batch in _batches(lines):
                    self._send(batch, stop)

    def _take(self) -> list[bytes]:
        with self._lock:
            lines, self._lines = self._lines, []
            self._size = 0
            lost, self._lost = self._lost, 0
            if not lines and not lost:
                self._busy = False
                self._idle.set()
        if lost:
            lines.append(_lost_line(lost, self._problem))
            self._problem = ""
        return lines

    def _send(self, batch: bytes, stop: Event) -> None:
        pause = _MIN_PAUSE_S
        rest = memoryview(batch)
        while rest:
            try:
                # None: the stream is non-blocking, and full.
                written = self._stream.write(rest) if self._stream is not None else len(rest)
            except (OSError, ValueError) as error:  # ValueError: it has been closed
                self._problem = getattr(error, "strerror", None) or str(error)
                written = None
            if written:
                rest, pause = rest[written:], _MIN_PAUSE_S
            elif stop.wait(pause):
                return
            else:
                pause = min(2 * pause, _MAX_PAUSE_S)


def _nobody(_: int) -> None:
    """Takes no notice."""


def _batches(lines: list[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > PIPE_BUF and batch:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield b"".join(batch)


def _lost_line(count: int, problem: str) -> bytes:
    line = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "warning",
        "event": "log_lines_lost",
        "message": f"{count} lines are missing here: {problem or 'they were not read as fast as they came'}.",
        "lines": count,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_writers: WeakSet[LogWriter] = WeakSet()


def _begin_all() -> None:
    for writer in _writers:
        writer._begin()  # noqa: SLF001 - of this module's own class


def _close_all() -> None:
    for writer in list(_writers):
        writer.close()


os.register_at_fork(after_in_child=_begin_all)
atexit.register(_close_all)

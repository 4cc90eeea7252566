"""Writes log lines from a thread, so that the event loop never waits for whoever reads them."""

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

# Bytes that are queued at most, about 10,000 lines of requests; further lines are lost.
_MAX_QUEUED_BYTES = 4 * 1_048_576
# How long lines are gathered before they are written, in seconds: to wake the thread costs more than to write a line.
_BATCH_INTERVAL_S = 0.02
# Between two attempts to write to a stream that takes nothing, in seconds.
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.001, 1.0
# How long a process that exits waits for a reader that has stopped, in seconds.
_EXIT_TIMEOUT_S = 1.0


class LogWriter:
    """Writes whole lines, in order, to one stream. When the stream takes nothing, lines are lost, never requests.

    It keeps trying on a full pipe, a full disk and a reader that has gone. Several processes may share a pipe: a write
    has at most `PIPE_BUF` bytes, since longer ones are interleaved when the pipe is full (pipe(7)).

    Args:
        stream: Unbuffered if possible: a buffer's lock would be another thing to wait for. None: all lines are lost.

    Attributes:
        on_lost: Called with the number of lines lost, in the thread that wrote them.
    """

    _thread: Thread | None

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self.on_lost: Callable[[int], object] = _ignore
        self._reset()
        _writers.add(self)

    def write(self, line: bytes) -> None:
        """Queues a line, which ends with a newline. Never blocks."""
        with self._lock:
            lost = self._stream is None or self._size + len(line) > _MAX_QUEUED_BYTES
            if lost:
                self._lost += 1
            else:
                self._lines.append(line)
                self._size += len(line)
                if not self._busy:
                    self._wake_thread()
        if lost:
            self.on_lost(1)

    def flush(self, seconds: float) -> bool:
        """Waits until all lines are written; False if they are not within this many seconds."""
        return self._idle.wait(seconds)

    def close(self, seconds: float = _EXIT_TIMEOUT_S) -> None:
        """Flushes, and ends the thread. A later line starts another one."""
        self.flush(seconds)
        with self._lock:
            self._thread = None
            self._stop.set()
            self._wake.set()

    def _reset(self) -> None:
        """Starts with an empty queue and no thread. After a fork, the child must not inherit its parent's."""
        self._lock = Lock()
        self._lines: list[bytes] = []
        self._size = self._lost = 0
        self._problem = ""
        self._busy = False
        self._idle = Event()
        self._idle.set()
        self._wake, self._stop = Event(), Event()
        self._thread = None

    def _wake_thread(self) -> None:
        """Wakes the thread, or starts it. The caller holds the lock."""
        if self._thread is None:
            self._wake, self._stop = Event(), Event()
            thread = Thread(target=self._run, args=(self._wake, self._stop), name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread is available, or the process is exiting: the next line tries again
                return
            self._thread = thread
        self._busy = True
        self._idle.clear()
        self._wake.set()

    def _run(self, wake: Event, stop: Event) -> None:
        while not stop.is_set():
            wake.wait()
            wake.clear()
            time.sleep(_BATCH_INTERVAL_S)
            while lines := self._dequeue():
                for batch in _batches(lines):
                    self._write_batch(batch, stop)

    def _dequeue(self) -> list[bytes]:
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

    def _write_batch(self, batch: bytes, stop: Event) -> None:
        backoff = _MIN_BACKOFF_S
        remaining = memoryview(batch)
        while remaining:
            try:
                # None: the stream is non-blocking and full.
                written = self._stream.write(remaining) if self._stream is not None else len(remaining)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                self._problem = getattr(error, "strerror", None) or str(error)
                written = None
            if written:
                remaining, backoff = remaining[written:], _MIN_BACKOFF_S
            elif stop.wait(backoff):
                return
            else:
                backoff = min(2 * backoff, _MAX_BACKOFF_S)


def _ignore(_: int) -> None:
    """Does nothing."""


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
        "message": f"{count} log lines were lost here: {problem or 'the reader was too slow'}.",
        "lines": count,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_writers: WeakSet[LogWriter] = WeakSet()


def _reset_all() -> None:
    for writer in _writers:
        writer._reset()  # noqa: SLF001 - a class of this module


def _close_all() -> None:
    for writer in list(_writers):
        writer.close()


os.register_at_fork(after_in_child=_reset_all)
atexit.register(_close_all)

"""Log lines leave from a thread: nobody waits for their reader; what is lost is counted and said, the rest is whole."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from gateway.telemetry.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 20.0
# More than queue, thread and pipe hold together, in lines of 1,000 bytes.
MANY = 12_000


def line(number: int, size: int = 1_000) -> bytes:
    text = json.dumps({"n": number, "pad": ""})
    return text.replace('""', f'"{"x" * (size - len(text) - 1)}"').encode() + b"\n"


def reported(read: bytes) -> list[dict[str, Any]]:
    return [json.loads(text) for text in read.splitlines()]


@contextmanager
def writing(stream: BinaryIO | None) -> Iterator[tuple[LogWriter, list[int]]]:
    """A writer, and what it says is lost."""
    writer, lost = LogWriter(stream), []  # type: ignore[var-annotated] # it is annotated above
    writer.on_lost = lost.append
    try:
        yield writer, lost
    finally:
        writer.close(0)


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    end, beginning = os.pipe()
    with os.fdopen(end, "rb", buffering=0) as reader, os.fdopen(beginning, "wb", buffering=0) as stream:
        yield reader, stream


class Reader(threading.Thread):
    """Reads until it has seen a text."""

    def __init__(self, stream: BinaryIO, until: bytes) -> None:
        super().__init__(daemon=True)
        self.read, self._stream, self._until = b"", stream, until
        self.start()

    def run(self) -> None:
        while self._until not in self.read:
            self.read += self._stream.read(65_536)

    def whole(self) -> list[dict[str, Any]]:
        self.join(PATIENCE_S)
        assert not self.is_alive()
        return reported(self.read)


def test_a_reader_that_stops_holds_up_nobody_and_is_told_what_it_missed(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    with writing(stream) as (writer, lost):
        for number in range(MANY):
            writer.write(line(number))
        assert writer.flush(0.2) is False, "the pipe is full"
        assert 0 < sum(lost) < MANY
        reading = Reader(reader, b"again")
        assert writer.flush(PATIENCE_S)
        writer.write(b'{"n": "again"}\n')
        *found, last = reading.whole()
    assert last == {"n": "again"}
    # On a busy machine the thread may come late and lose lines twice, each time with a warning behind what it kept.
    warnings = [line for line in found if "n" not in line]
    assert {(line["event"], line["level"]) for line in warnings} == {("log_lines_lost", "warning")}
    numbers = [line["n"] for line in found if "n" in line]
    assert sum(line["lines"] for line in warnings) == sum(lost) == MANY - len(numbers), "each is said once"
    kept = found.index(warnings[0])
    assert numbers[:kept] == list(range(kept)), "the first ones"
    assert numbers == sorted(set(numbers)), "in order"


def test_a_slow_reader_gets_every_line(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    with writing(stream) as (writer, lost):
        for number in range(2_000):
            writer.write(line(number))
        time.sleep(0.05)
        found = Reader(reader, b'"n": 1999').whole()
    assert [line["n"] for line in found] == list(range(2_000))
    assert lost == []


def test_a_full_nonblocking_pipe_is_retried(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    """Whoever shares the pipe may have made it so."""
    reader, stream = pipe
    fcntl.fcntl(stream, fcntl.F_SETFL, fcntl.fcntl(stream, fcntl.F_GETFL) | os.O_NONBLOCK)
    with writing(stream) as (writer, _):
        for number in range(500):
            writer.write(line(number))
        assert writer.flush(0.2) is False
        assert [line["n"] for line in Reader(reader, b'"n": 499').whole()] == list(range(500))


def test_a_reader_that_goes_and_comes_back_finds_whole_lines(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "log")
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with fifo.open("wb", buffering=0) as stream, writing(stream) as (writer, _):
        writer.write(b'{"n": 1}\n')
        assert writer.flush(PATIENCE_S)
        assert os.read(first, 100) == b'{"n": 1}\n'
        os.close(first)
        writer.write(b'{"n": 2}\n')
        assert writer.flush(0.2) is False, "EPIPE"
        writer.write(b'{"n": 3}\n')
        with fifo.open("rb", buffering=0) as second:
            assert Reader(second, b'"n": 3').whole() == [{"n": 2}, {"n": 3}]


class Disk(io.RawIOBase):
    """Takes so many bytes, and is full then."""

    def __init__(self, room: int) -> None:
        self.room, self.taken, self.writes = room, b"", 0

    def write(self, data: Any) -> int:
        self.writes += 1
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fits = bytes(data)[: self.room]
        self.room -= len(fits)
        self.taken += fits
        return len(fits)


def test_a_full_disk_is_retried_and_reported() -> None:
    disk = Disk(2_500)
    with writing(disk) as (writer, lost):  # type: ignore[arg-type] # raw as standard output's own stream is
        for number in range(MANY):
            writer.write(line(number))
        assert writer.flush(0.2) is False
        disk.room = 10**9
        assert writer.flush(PATIENCE_S)
    *lines, warning = reported(disk.taken)
    assert [line["n"] for line in lines] == list(range(MANY - sum(lost))), "the third line too is whole"
    assert f"{sum(lost)} log lines were lost here: No space left on device." == warning["message"]


def test_lines_are_written_in_batches() -> None:
    disk = Disk(10**9)
    with writing(disk) as (writer, _):  # type: ignore[arg-type] # as above
        for number in range(1_000):
            writer.write(line(number, 400))
        assert writer.flush(PATIENCE_S)
    assert [line["n"] for line in reported(disk.taken)] == list(range(1_000))
    assert disk.writes <= 110, "ten lines a write, or nearly"


@pytest.mark.parametrize("closed", [True, False])
def test_without_a_stream_lines_are_counted_as_lost(closed: bool) -> None:
    stream = io.BytesIO() if closed else None
    if stream is not None:
        stream.close()
    with writing(stream) as (writer, lost):
        for number in range(MANY):
            writer.write(line(number))
        assert sum(lost) > 0
        assert sum(lost) == MANY or closed


def test_a_line_longer_than_a_write_stays_whole(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    with writing(stream) as (writer, _):
        for number in range(3):
            writer.write(line(number, 100_000))
        assert [line["n"] for line in Reader(reader, b'"n": 2, "pad": "' + b"x" * 99_900).whole()] == [0, 1, 2]


def test_a_closed_writer_starts_again() -> None:
    stream = io.BytesIO()
    writer = LogWriter(stream)
    for number in range(3):
        writer.write(b"%d\n" % number)
        writer.close()
    assert stream.getvalue() == b"0\n1\n2\n"


@pytest.mark.parametrize(
    "body",
    [
        "writer.write(b'last\\n')",
        "writer.write(b'last\\n'); sys.exit(3)",
        "logger.info('last')",
        "sys.stdout.close(); logger.info('last')",
    ],
)
def test_a_process_that_ends_has_written_all(body: str) -> None:
    code = (
        "import sys; from loguru import logger; from gateway.telemetry.logs import set_up_logs;"
        f"writer = set_up_logs('info'); {body}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("last" in done.stdout) == ("close()" not in body)
    assert done.stderr == ""


FORKED = """
import os, sys, time
from gateway.telemetry.logs import set_up_logs
writer = set_up_logs("info")
for number in range(300):
    writer.write(b"of the parent, which nobody reads %d\\n" % number * 20)
time.sleep(0.2)  # its thread stands in a write
if child := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
out, writer._stream = os.pipe()[1], None
other, beginning = os.pipe()
writer._stream = os.fdopen(beginning, "wb", buffering=0)
writer.write(b"of the child\\n")
assert writer.flush(10), "no thread writes it"
os._exit(0 if os.read(other, 10_000) == b"of the child\\n" else 1)
"""


def test_a_child_writes_its_own_lines_though_its_parents_thread_stood_in_a_write() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE) as process:
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("reads", [True, False])
def test_exit_waits_for_a_reader_but_not_forever(
    pipe: tuple[BinaryIO, BinaryIO],
    reads: bool,
) -> None:
    reader, stream = pipe
    code = (
        "from gateway.telemetry.logs import set_up_logs; writer = set_up_logs('info')\n"
        "for number in range(2000): writer.write(b'%d ' % number + b'x' * 500 + b'\\n')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=stream) as process:
        if reads:
            read = Reader(reader, b"1999 ")
            read.join(PATIENCE_S)
            assert not read.is_alive()
        assert process.wait(PATIENCE_S) == 0


def test_a_thread_that_cannot_start_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with writing(stream) as (writer, _):
        with monkeypatch.context() as patch:
            patch.setattr("threading.Thread.start", refuse)
            writer.write(b"1\n")
        writer.write(b"2\n")
        assert writer.flush(PATIENCE_S)
    assert stream.getvalue() == b"1\n2\n"

"""Counters on disks that are full: real ones, as small as it takes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.small_disk import as_seen_by, fill, on_small_disk

from gateway.telemetry.multiprocess.counter_files import CounterFile, DiskSpaceMonitor
from gateway.telemetry.multiprocess.exposition import MultiprocessExposition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKER = """
import sys
from pathlib import Path
from gateway.telemetry.multiprocess import slots
directory = Path(sys.argv[1])
slots.claim(directory)
from prometheus_client import CollectorRegistry
from gateway.cost import TimeShare
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess.counter_files import DiskSpaceMonitor
from gateway.telemetry.labels import Labels
metrics, room = Metrics(CollectorRegistry()), DiskSpaceMonitor()
metrics.worker_up.set(1)
labels = Labels(400, metrics.label_overflow.labels("x"), directory / "labels-of-x")
share = TimeShare(directory, shares=1, engines=1)
print("ready", flush=True)
for line in sys.stdin:
    verb, *numbers = line.split()
    if verb == "count":
        for number in range(*map(int, numbers)):
            metrics.requests_started.labels("r", labels.label(f"model-{number}" + "x" * 300)).inc()
            metrics.request_duration.labels("r", f"m{number}", "true").observe(0.5)
        metrics.inflight.labels("m").inc()
    elif verb == "acquire":
        share.acquire(1.0)
        share.book(0, 2.0)
        print(share.unbooked_seconds(0, 5.0), file=sys.stderr)
    room.check()
    print("done", flush=True)
"""
ROOM_FOR_ALL = "size=8m"


class Worker:
    """A worker on a disk of its own."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self.disk = as_seen_by(process.pid, directory)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def begin(self) -> None:
        if self._line() != "ready":
            pytest.fail(f"it ended with {self._process.wait()}: {self._process.communicate()[1]}")

    def do(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        if self._line() != "done":
            pytest.fail(f"it ended with {self._process.wait()}: {self._process.communicate()[1]}")

    def shown(self) -> dict[str, float]:
        """The page, each metric summed over its series."""
        found: dict[str, float] = {}
        for line in MultiprocessExposition(self.disk).render().decode().splitlines():
            if line[0] != "#":
                name = line.partition("{")[0].partition(" ")[0]
                found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
        return found

    def end(self) -> str:
        """What it said on standard error."""
        _, message = self._process.communicate(timeout=20)
        assert self._process.returncode == 0
        return message


@contextmanager
def worker(directory: Path, options: str = ROOM_FOR_ALL, script: str = WORKER) -> Iterator[Worker]:
    directory.mkdir()
    command = [*on_small_disk(directory, options), sys.executable, "-c", script, str(directory)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Worker(process, directory)
        finally:
            process.kill()


def test_a_disk_that_fills_up_keeps_nobody_from_counting_and_all_is_shown_once_there_is_room(tmp_path: Path) -> None:
    with worker(tmp_path / "m") as process:
        process.begin()
        process.do("count 0 20")
        filler = fill(process.disk)
        process.do("count 0 400")
        process.do("count 0 400")
        before = process.shown()
        assert 20 < before["gateway_requests_started_total"] < 820, "what it had room for"
        filler.unlink()
        process.do("count 0 0")
        shown = process.shown()
        assert shown["gateway_requests_started_total"] == 820
        assert shown["gateway_request_duration_seconds_count"] == 820
        process.do("count 0 400")
        assert process.shown()["gateway_requests_started_total"] == 1220
        message = process.end()
    assert message.count("has no space for counters (No space left on device)") == 1
    assert message.count("has space again") == 1


def test_a_worker_that_starts_on_a_full_disk_counts_in_memory_until_there_is_room(tmp_path: Path) -> None:
    late = "import sys; print('mounted', flush=True); sys.stdin.readline()" + WORKER
    with worker(tmp_path / "m", "size=256k", late) as process:
        assert process._line() == "mounted"
        filler = fill(process.disk)
        assert process._process.stdin is not None
        process._process.stdin.write("begin\n")
        process._process.stdin.flush()
        process.begin()
        process.do("count 0 3")
        process.do("acquire")
        assert process.shown() == {}
        filler.unlink()
        (process.disk / "room for one file").write_bytes(bytes(150_000))
        process.do("count 3 5")
        partly = process.shown()
        (process.disk / "room for one file").unlink()
        process.do("count 5 6")
        assert process.shown().keys() > partly.keys()
        message = process.end()
    assert "no disk space for the cost ledger (No space left on device)" in message
    assert "2.0" in message.splitlines(), "the books are right all the same"
    assert "Traceback" not in message


@pytest.mark.parametrize("options", ["nr_inodes=2,size=8m", "ro"])
def test_a_disk_on_which_no_file_can_be_made_keeps_nobody_from_counting(tmp_path: Path, options: str) -> None:
    with worker(tmp_path / "m", options) as process:
        process.begin()
        process.do("count 0 3")
        process.do("acquire")
        process.do("count 0 3")
        process.end()


def test_an_earlier_workers_values_are_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file could not be opened for a moment: what is counted now would take the places of what was counted then."""
    name = str(tmp_path / "counter_0.db")
    earlier = CounterFile(name)
    earlier.write_value("k", 100.0, 0.0)
    earlier.close()
    with monkeypatch.context() as patch:
        patch.setattr("gateway.telemetry.multiprocess.counter_files.os.open", _raise(errno.EMFILE))
        later = CounterFile(name)
    assert later.read_value("k") == (0.0, 0.0)
    later.write_value("k", 1.0, 0.0)
    later.retry()
    later.write_value("k", 2.0, 0.0)
    later.close()
    again = CounterFile(name)
    assert again.read_value("k") == (100.0, 0.0)
    again.close()


def test_a_delayed_write_has_the_latest_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CounterFile(str(tmp_path / "counter_0.db"))
    room = DiskSpaceMonitor()
    with monkeypatch.context() as patch:
        patch.setattr("gateway.telemetry.multiprocess.counter_files.preallocate", _raise(errno.EDQUOT))
        for number in range(4_000):
            file.write_value(f"key-{number}", 1.0, 0.0)
        for number in range(4_000):
            file.write_value(f"key-{number}", 2.0, 0.0)
        room.check()
        assert "Disk quota exceeded" in CounterFile.out_of_space[file]
    room.check()
    assert not CounterFile.out_of_space
    assert {file.read_value(f"key-{number}") for number in range(4_000)} == {(2.0, 0.0)}
    file.write_value("key-3999", 3.0, 0.0)
    room.check()
    assert file.read_value("key-3999") == (3.0, 0.0)
    file.close()


def _raise(number: int) -> Any:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fails

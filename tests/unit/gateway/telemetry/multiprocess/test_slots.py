"""Stable slots for workers' counters, with real processes: claimed, taken over, live gauges dropped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.telemetry.multiprocess.slots import MetricsDirError, release_dead, shared_memory, usable, wipe

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER = """
import sys
from pathlib import Path
from gateway.telemetry.multiprocess import slots
slot = slots.claim(Path(sys.argv[1]))
from prometheus_client import CollectorRegistry
from gateway.telemetry.metrics import Metrics
metrics = Metrics(CollectorRegistry())
metrics.worker_up.set(1)
print(slot, flush=True)
for line in sys.stdin:
    metrics.requests_started.labels("r", "m").inc(int(line))
    metrics.inflight.labels("m").inc(int(line))
    metrics.request_duration.labels("r", "m", "true").observe(0.5)
    print("done", flush=True)
"""


class Worker:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.slot = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def count(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert self._line() == "done\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def worker(directory: Path) -> Iterator[Worker]:
    command = [sys.executable, "-c", WORKER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "metrics"
    wipe(path)
    return path


def scrape(directory: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    return {sample.name: sample.value for family in registry.collect() for sample in family.samples}


def test_two_processes_have_different_slots_and_are_summed(directory: Path) -> None:
    with worker(directory) as first, worker(directory) as second:
        assert {first.slot, second.slot} == {0, 1}
        first.count(3)
        second.count(4)
        seen = scrape(directory)
        assert seen["gateway_requests_started_total"] == 7
        assert seen["gateway_inflight_requests"] == 7
        assert seen["gateway_worker_up"] == 2
        assert seen["gateway_request_duration_seconds_count"] == 2


def test_a_killed_workers_slot_is_taken_over_and_its_counters_continue(directory: Path) -> None:
    with worker(directory) as first, worker(directory) as second:
        first.count(3)
        second.count(4)
        killed = first.slot
        first.kill()
        assert scrape(directory)["gateway_requests_started_total"] == 7
        release_dead(directory)
        seen = scrape(directory)
        assert seen["gateway_requests_started_total"] == 7, "counters never fall"
        assert (seen["gateway_inflight_requests"], seen["gateway_worker_up"]) == (4, 1)
        with worker(directory) as third:
            assert third.slot == killed
            third.count(5)
            seen = scrape(directory)
            assert seen["gateway_requests_started_total"] == 12
            assert (seen["gateway_inflight_requests"], seen["gateway_worker_up"]) == (9, 2)


def test_a_new_worker_deletes_the_live_gauges_of_its_slot(directory: Path) -> None:
    with worker(directory) as first:
        first.count(3)
        first.kill()
    with worker(directory) as second:
        assert second.slot == 0
        seen = scrape(directory)
        assert seen.get("gateway_inflight_requests", 0) == 0
        assert (seen["gateway_worker_up"], seen["gateway_requests_started_total"]) == (1, 3)


def test_many_generations_leave_no_files_behind(directory: Path) -> None:
    for number in range(4):
        with worker(directory) as process:
            process.count(1)
            process.kill()
        if number == 0:
            files = len(list(directory.iterdir()))
    release_dead(directory)
    assert len(list(directory.iterdir())) <= files
    assert scrape(directory)["gateway_requests_started_total"] == 4


def test_releasing_leaves_live_workers_alone(directory: Path) -> None:
    with worker(directory) as first:
        first.count(3)
        release_dead(directory)
        assert scrape(directory)["gateway_inflight_requests"] == 3


def test_wipe_creates_a_directory_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    wipe(path)
    assert path.stat().st_mode & 0o777 == 0o700


def test_wipe_deletes_what_an_earlier_gateway_left(directory: Path) -> None:
    with worker(directory) as first:
        first.count(3)
        first.kill()
    wipe(directory)
    assert [path for path in directory.iterdir() if path.suffix in {".db", ".lock"}] == []
    with worker(directory) as second:
        second.count(1)
        assert scrape(directory)["gateway_requests_started_total"] == 1


def test_wipe_leaves_what_is_not_its_own(directory: Path) -> None:
    kept = [directory / "customers.db", directory / "notes.txt"]
    for path in kept:
        path.write_text("precious")
    wipe(directory)
    assert [path.read_text() for path in kept if path.exists()] == ["precious", "precious"]


def test_wipe_refuses_a_directory_in_use(directory: Path) -> None:
    with worker(directory) as first:
        first.count(3)
        with pytest.raises(MetricsDirError) as caught:
            wipe(directory)
        text = str(caught.value)
        assert str(directory) in text
        assert "in use" in text
        assert "\n" not in text
        assert scrape(directory)["gateway_requests_started_total"] == 3
    wipe(directory)


def test_wipe_refuses_what_is_not_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(MetricsDirError, match=r"METRICS_DIR=.*file"):
        wipe(path)
    with pytest.raises(MetricsDirError, match="METRICS_DIR="):
        wipe(path / "below")


def test_wipe_refuses_another_users_directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.multiprocess.slots.os.getuid", lambda: os.geteuid() + 1)
    with pytest.raises(MetricsDirError, match="belongs to another user"):
        wipe(directory)


def test_a_directory_that_has_gone_is_made_anew(tmp_path: Path) -> None:
    """Whoever clears a /tmp takes it along while the gateway runs."""
    with worker(tmp_path / "gone") as process:
        process.count(3)
        assert process.slot == 0
        assert scrape(tmp_path / "gone")["gateway_requests_started_total"] == 3
    assert (tmp_path / "gone").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["a file", "another user's"])
def test_a_worker_without_a_slot_counts_in_memory(tmp_path: Path, how: str) -> None:
    path = tmp_path / "metrics"
    if how == "a file":
        path.write_text("")
    other = "import os; os.getuid = lambda: os.geteuid() + 1" if how != "a file" else ""
    command = [sys.executable, "-c", other + WORKER, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, input="3\n")
    assert (done.returncode, done.stdout) == (0, "None\ndone\n")
    assert "/metrics leaves this worker out" in done.stderr
    if path.is_dir():
        assert list(path.iterdir()) == []


def test_copies_of_the_keys_file_are_wiped_too(directory: Path) -> None:
    for name in ("keys.last-good", "keys.12345", "keys.yaml"):
        (directory / name).write_text("")
    wipe(directory)
    assert [path.name for path in directory.iterdir()] == ["keys.yaml"]


def test_a_full_disk_does_not_keep_a_gateway_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.mkdir", full)
    wipe(tmp_path / "metrics")


def test_shared_memory_that_cannot_be_written_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "shm"
    monkeypatch.setattr("gateway.telemetry.multiprocess.slots._SHARED_MEMORY", memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    wanted = memory / "glasshouse-metrics"
    assert shared_memory() is None
    assert usable(wanted) == tmp_path / "glasshouse-metrics"
    assert usable(tmp_path / "elsewhere") == tmp_path / "elsewhere"
    memory.mkdir()
    assert shared_memory() == str(memory)
    assert usable(wanted) == wanted
    assert list(memory.iterdir()) == []
    wanted.mkdir()
    memory.chmod(0o500)
    assert usable(wanted) == wanted, "it is there, and somebody else has seen to that"

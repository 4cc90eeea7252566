"""The values of metrics in counter files."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import Counter
from prometheus_client.mmap_dict import MmapedDict

from gateway.telemetry.increments import cell
from gateway.telemetry.multiprocess import counter_files, values
from gateway.telemetry.multiprocess.counter_files import CounterFile
from gateway.telemetry.multiprocess.values import value_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTER = ("counter", "m", "m_total", ("l",), ("a",), "help")


@pytest.fixture(autouse=True)
def _closed_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the files at the end, which a worker keeps open until it exits."""
    opened: list[CounterFile] = []

    class ClosedFile(CounterFile):
        def __init__(self, filename: str) -> None:
            super().__init__(filename)
            opened.append(self)

    monkeypatch.setattr(values, "CounterFile", ClosedFile)
    yield
    for file in opened:
        file.close()


def _in_file(directory: Path, name: str) -> list[tuple[float, float]]:
    stored = MmapedDict.read_all_values_from_file(str(directory / name))  # type: ignore[no-untyped-call]
    return [(value, timestamp) for _, value, timestamp, _ in stored]


def test_every_increment_is_in_the_file_at_once(tmp_path: Path) -> None:
    value = value_class(tmp_path, 3)(*COUNTER)
    assert _in_file(tmp_path, "counter_3.db") == [(0.0, 0.0)]
    for expected in (1.5, 3.0, 4.5):
        value.inc(1.5)
        assert value.get() == expected
        assert _in_file(tmp_path, "counter_3.db") == [(expected, 0.0)]


def test_what_is_added_in_place_is_in_the_file_too(tmp_path: Path) -> None:
    value = value_class(tmp_path, 0)(*COUNTER)
    value.inc(1.0)
    assert value.cell is not None
    value.cell[0] += 2.0
    value.inc(4.0)
    assert value.get() == 7.0
    assert _in_file(tmp_path, "counter_0.db") == [(7.0, 0.0)]


def test_a_successor_in_the_slot_continues(tmp_path: Path) -> None:
    value_class(tmp_path, 0)(*COUNTER).inc(2.0)
    successor = value_class(tmp_path, 0)(*COUNTER)
    successor.inc(1.0)
    assert _in_file(tmp_path, "counter_0.db") == [(3.0, 0.0)]


def test_values_keep_their_places_while_their_file_grows(tmp_path: Path) -> None:
    make = value_class(tmp_path, 0)
    made = []
    for number in range(2_000):  # several times what a new file holds
        made.append(make("counter", "m", "m_total", ("l",), (f"{number}",), "help"))
        made[number // 2].inc(1.0)
    assert [value for value, _ in _in_file(tmp_path, "counter_0.db")] == [value.get() for value in made]
    assert sum(value.get() for value in made) == 2_000


def test_a_gauge_has_a_file_for_its_mode_and_a_time(tmp_path: Path) -> None:
    gauge = value_class(tmp_path, 1)("gauge", "g", "g", (), (), "help", "livemostrecent")
    gauge.set(5.0, 123.0)
    assert _in_file(tmp_path, "gauge_livemostrecent_1.db") == [(5.0, 123.0)]
    gauge.set(7.0)
    assert _in_file(tmp_path, "gauge_livemostrecent_1.db") == [(7.0, 0.0)]


def test_several_threads_lose_no_increment(tmp_path: Path) -> None:
    value = value_class(tmp_path, 0)(*COUNTER)

    def count() -> None:
        for _ in range(5_000):
            value.inc(1.0)

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _in_file(tmp_path, "counter_0.db") == [(20_000.0, 0.0)]


def test_a_value_without_disk_space_is_written_once_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(counter_files, "preallocate", full)
    counter = Counter("m", "help", registry=None)
    value: Any = value_class(tmp_path, 0)(*COUNTER)
    counter._value = value
    in_place = cell(counter)  # looked up while there is no space
    in_place[0] += 1.0
    monkeypatch.undo()
    for file in tuple(counter_files.CounterFile.out_of_space):
        file.retry()
    value.inc(2.0)
    in_place[0] += 4.0
    assert _in_file(tmp_path, "counter_0.db") == [(7.0, 0.0)]

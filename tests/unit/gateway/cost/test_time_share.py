"""Shares of the engines' time: one worker each, taken over after a kill, with real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.cost import TimeShare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER = """
import sys
from pathlib import Path
from gateway.cost import TimeShare
share = TimeShare(Path(sys.argv[1]), shares=2, engines=2)
for line in sys.stdin:
    verb, *numbers = line.split()
    a, b = (float(number) for number in numbers)
    if verb == "acquire":
        print(share.acquire(a), flush=True)
    elif verb == "book":
        share.book(int(a), b)
        print("booked", flush=True)
    else:
        print(share.unbooked_seconds(int(a), b), flush=True)
"""


class Worker:
    """Another process that may hold a share."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, verb: str, a: float, b: float = 0) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{verb} {a} {b}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    with ExitStack() as stack:

        def start() -> Worker:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Worker(process)

        yield start


def test_a_single_worker_needs_no_file() -> None:
    share = TimeShare(None, shares=1, engines=1)
    assert share.acquire(100.0)
    assert share.unbooked_seconds(0, 107.0) == 7.0
    share.book(0, 4.0)
    assert share.unbooked_seconds(0, 107.0) == 3.0
    assert share.unbooked_seconds(0, 103.0) == 0.0  # booked up to later than that


def test_there_are_as_many_shares_as_workers_and_one_more_waits(worker: Callable[[], Worker]) -> None:
    old, other, new = worker(), worker(), worker()
    assert [each.ask("acquire", 100) for each in (old, other, new)] == ["True", "True", "False"]
    old.kill()
    assert new.ask("acquire", 160) == "True"


def test_a_successor_finds_the_unbooked_seconds_of_a_killed_worker(worker: Callable[[], Worker]) -> None:
    old, other, new = worker(), worker(), worker()
    assert old.ask("acquire", 100) == "True"
    assert other.ask("acquire", 110) == "True"
    old.ask("book", 0, 20)
    old.ask("book", 0, 5.5)
    old.ask("book", 1, 30)
    old.kill()
    assert new.ask("acquire", 150) == "True"
    assert new.ask("unbooked_seconds", 0, 150) == str(50 - 25.5)
    assert new.ask("unbooked_seconds", 1, 150) == str(50 - 30.0)
    new.ask("book", 0, 24.5)
    assert new.ask("unbooked_seconds", 0, 151) == "1.0"
    assert other.ask("unbooked_seconds", 0, 150) == "40.0"


def test_a_share_without_a_recorded_start_is_new(tmp_path: Path) -> None:
    (tmp_path / "cost-0.share").write_bytes(bytes(16))
    share = TimeShare(tmp_path, shares=1, engines=1)
    assert share.acquire(5000.0)
    assert share.unbooked_seconds(0, 5001.0) == 1.0

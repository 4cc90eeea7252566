"""When failed checks are enough to take an engine out."""

from __future__ import annotations

from math import inf

import pytest

from gateway.engines.misses import Misses


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("gateway.engines.misses.time.monotonic", clock)
    return clock


def miss(misses: Misses, clock: Clock, last_progress: float = -inf, max_silence: float = 0.0) -> bool:
    clock.now += 1
    return misses.add(clock.now - 0.5, last_progress, max_silence)


def test_three_in_a_row_are_enough(clock: Clock) -> None:
    misses = Misses()
    assert [miss(misses, clock) for _ in range(4)] == [False, False, True, True]
    assert misses.count == 4


def test_a_success_in_between_starts_again(clock: Clock) -> None:
    misses = Misses()
    assert [miss(misses, clock) for _ in range(2)] == [False, False]
    misses.clear()
    assert [miss(misses, clock) for _ in range(3)] == [False, False, True]


def test_progress_in_between_starts_again(clock: Clock) -> None:
    misses = Misses()
    assert [miss(misses, clock) for _ in range(2)] == [False, False]
    assert not miss(misses, clock, last_progress=clock.now)
    assert misses.count == 1


def test_an_engine_may_be_silent_for_a_while(clock: Clock) -> None:
    misses = Misses()
    assert [miss(misses, clock, max_silence=10.0) for _ in range(9)] == [False] * 9
    clock.now += 2
    assert miss(misses, clock, max_silence=10.0)

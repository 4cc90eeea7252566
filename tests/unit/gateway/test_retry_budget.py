"""The retry budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.retry_budget import MIN_RETRIES, RetryBudget

if TYPE_CHECKING:
    import pytest


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("gateway.retry_budget.time.monotonic", lambda: self.now)


def test_three_retries_are_always_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    budget = RetryBudget()
    assert [budget.try_acquire() for _ in range(5)] == [True] * MIN_RETRIES + [False, False]
    clock.now += 10
    assert not budget.try_acquire(), "the window before still counts"
    clock.now += 20
    assert budget.try_acquire()


def test_a_fifth_of_the_requests_may_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    budget = RetryBudget()
    for _ in range(100):
        budget.record_request()
    assert sum(budget.try_acquire() for _ in range(60)) == 20
    clock.now += 10
    for _ in range(50):
        budget.record_request()
    assert sum(budget.try_acquire() for _ in range(60)) == 10
    clock.now += 10
    assert sum(budget.try_acquire() for _ in range(60)) == 0

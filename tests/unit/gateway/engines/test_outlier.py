"""Failures in a row, ejections that grow and decay, and one incident as one strike."""

from __future__ import annotations

import pytest

from gateway.engines.outlier import Outlier


def eject(outlier: Outlier, now: float) -> float:
    """Five incidents, and the ejection that follows: seconds that it takes."""
    for number in range(5):
        assert outlier.fail(now + number / 10, now + number / 10) == (number == 4)
    outlier.eject(now + 1)
    return outlier.ejected_until - (now + 1)


def test_the_fifth_failure_in_a_row_ejects() -> None:
    outlier = Outlier()
    assert eject(outlier, 100) == 30
    assert outlier.is_ejected


def test_a_finished_answer_starts_the_count_again() -> None:
    outlier = Outlier()
    for number in range(4):
        assert not outlier.fail(number, number)
    outlier.succeed(4)
    assert [outlier.fail(number, number) for number in range(5, 9)] == [False] * 4


@pytest.mark.parametrize("waiting", [2, 14, 1000])
def test_what_broke_together_is_one_incident(waiting: int) -> None:
    outlier = Outlier()
    for number in range(waiting):
        outlier.fail(90 + number / waiting, 100 + number / waiting)
    assert outlier.failures == 1


def test_a_trial_that_fails_ejects_for_longer_up_to_a_limit() -> None:
    outlier = Outlier()
    times = [eject(outlier, 0)]
    for _ in range(14):
        now = outlier.ejected_until
        assert outlier.may_be_tried(now)
        assert outlier.fail(now, now + 1)
        outlier.eject(now + 1)
        times.append(outlier.ejected_until - (now + 1))
    assert times == [30, 60, 90, 120, 150, 180, 210, 240, 270, *[300] * 6]


@pytest.mark.parametrize(("well", "seconds"), [(0, 120), (59, 120), (60, 90), (120, 60), (180, 30), (1e9, 30)])
def test_ejections_decay_while_the_engine_is_well(well: float, seconds: float) -> None:
    outlier = Outlier()
    eject(outlier, 0)
    for _ in range(2):
        outlier.fail(outlier.ejected_until, outlier.ejected_until)
        outlier.eject(outlier.ejected_until)
    outlier.succeed(1000)
    assert not outlier.is_ejected
    assert eject(outlier, 999 + well) == seconds


def test_only_one_trial_at_a_time_and_only_when_it_is_time() -> None:
    outlier = Outlier()
    assert not outlier.may_be_tried(1e9)
    eject(outlier, 0)
    assert not outlier.may_be_tried(30.9)
    assert outlier.may_be_tried(31)
    outlier.on_trial = True
    assert not outlier.may_be_tried(1e9)

"""A number that lies is found, and one within its resolution is not."""

from dataclasses import replace

import pytest
from tests.support.truth import amounts as a
from tests.support.truth import combined
from tests.support.truth import measures as m
from tests.support.truth.asking import Answer, Timing
from tests.support.truth.comparison import Compared, Comparison, Row
from tests.support.truth.events import Truth
from tests.support.truth.measures import Measure
from tests.support.truth.traffic import ASKED_AT, CHAT, Request

HOUR = Timing(range=3600, step=60, scrape=5, points=700)


def _requests(count: int, ttft: float = 1.2) -> list[Request]:
    """One a second, half an hour ago."""
    times = [ASKED_AT - 1800.0 + second for second in range(count)]
    return [Request(at - 2, at, "k", "large", CHAT, True, "ok", 200, ttft, 0.5, (5, 7, 0, 0)) for at in times]


TRUTH = Truth(_requests(100), range(ASKED_AT - 4000, ASKED_AT, 5))
GRID = range((ASKED_AT - 3600) // 60 * 60, ASKED_AT + 1, 60)


def _tile(measure: Measure, shown: float | None, *, recorded: bool = True) -> Row:
    points = () if shown is None else ((float(ASKED_AT), shown),)
    compared = Compared(measure, "range", recorded=recorded)
    return Comparison(TRUTH, compared, HOUR).row("panel", "1h", [Answer({}, points)], instant=True)


@pytest.mark.parametrize(("shown", "wrong"), [(100, 0), (99, 1), (101, 1), (104, 1), (None, 1)])
def test_a_recorded_count_is_exact(shown: float | None, wrong: int) -> None:
    assert len(_tile(m.total(), shown).wrong) == wrong


@pytest.mark.parametrize(("shown", "wrong"), [(100, 0), (100.2, 0), (104, 1), (90, 1)])
def test_an_extrapolated_count_is_within_two_scrapes(shown: float, wrong: int) -> None:
    assert len(_tile(m.total(), shown, recorded=False).wrong) == wrong


@pytest.mark.parametrize(("shown", "wrong"), [(1.01, 0), (1.5, 0), (2.02, 1), (0.9, 1), (None, 1)])
def test_a_quantile_lies_in_its_bucket(shown: float | None, wrong: int) -> None:
    # 1.2 s between the bounds 1.0 and 1.5; a bucket to 2.5 showed 2.02.
    assert len(_tile(m.quantile(0.95, a.ttft, "ttft"), shown).wrong) == wrong


def test_no_traffic_is_no_ratio_and_no_zero() -> None:
    failures = m.ratio(m.total(a.failed), m.total(a.cancelled))
    assert _tile(failures, None).wrong == ()
    assert len(_tile(failures, 1.0).wrong) == 1


def _graph(shown: dict[int, float]) -> Row:
    points = tuple((float(at), shown.get(at, 0.0)) for at in GRID)
    compared = Compared(m.total(), "step", recorded=True, per_second=True)
    return Comparison(TRUTH, compared, HOUR).row("panel", "1h", [Answer({}, points)], instant=False)


def _true_rates() -> dict[int, float]:
    return {at: len(TRUTH.ended(at - 60, at)) / 60 for at in GRID}


def test_a_graph_that_shows_each_step_is_right_and_its_sum_is_the_number_of_requests() -> None:
    row = _graph(_true_rates())
    assert row.wrong == ()
    assert row.shown == pytest.approx(100)
    assert row.truth == 100


def test_a_step_that_is_missing_is_found() -> None:
    rates = _true_rates()
    busiest = max(rates, key=lambda at: rates[at])
    row = _graph({**rates, busiest: 0.0})
    # The point itself could be the idle minute beside it: recorded steps end up to a minute earlier.
    assert "sum over the graph: 41," in row.wrong[-1]


def test_a_model_that_has_no_line_is_found() -> None:
    compared = Compared(m.total(by="model"), "range", recorded=True)
    row = Comparison(TRUTH, compared, HOUR).row("panel", "1h", [], instant=True)
    assert len(row.wrong) == 1
    assert "large" in row.wrong[0]


def test_what_a_graph_leaves_out_is_not_missing_in_its_sum() -> None:
    rates = _true_rates()
    shown = {at: rate for at, rate in rates.items() if rate * 60 >= 50}
    compared = Compared(combined.at_least(50, m.total(), m.total()), "step", recorded=True, per_second=True)
    row = Comparison(TRUTH, compared, HOUR).row("panel", "1h", [Answer({}, tuple(shown.items()))], instant=False)
    assert row.wrong == ()
    assert 0 < (row.shown or 0) < 100
    assert row.shown == pytest.approx(row.truth)


def test_the_inverse_of_a_short_time_has_no_upper_bound() -> None:
    speed = combined.inverse(m.quantile(0.95, lambda _: 0.001, (0.01, 0.1)))
    assert _tile(speed, 105).wrong == ()
    assert len(_tile(speed, 99).wrong) == 1


@pytest.mark.parametrize(("shown", "late", "wrong"), [(100, 300, 0), (85, 300, 0), (85, 0, 1), (60, 300, 1)])
def test_windows_that_reach_over_the_ends_of_the_range_count_a_part(shown: float, late: int, wrong: int) -> None:
    # Of the requests from 450 to 351 s before the end, a fifth came after a window that ends 370 s before it.
    truth = Truth([replace(request, ended=request.ended + 1350) for request in _requests(100)], TRUTH.times)
    compared = Compared(m.total(), "range", recorded=True, late=late)
    answer = Answer({}, ((float(ASKED_AT), shown),))
    assert len(Comparison(truth, compared, HOUR).row("panel", "1h", [answer], instant=True).wrong) == wrong

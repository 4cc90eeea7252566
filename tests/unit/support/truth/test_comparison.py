"""A number that lies is found, and one within its resolution is not."""

import pytest
from tests.support.truth import amounts as a
from tests.support.truth import measures as m
from tests.support.truth.asking import Answer, Timing
from tests.support.truth.comparison import Compared, Comparison, Row
from tests.support.truth.measures import Measure, Truth
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

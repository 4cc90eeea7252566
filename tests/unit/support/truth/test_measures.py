"""The truth of a few requests, written down."""

import pytest
from tests.support.truth import amounts as a
from tests.support.truth import conditions as c
from tests.support.truth import measures as m
from tests.support.truth.measures import Truth
from tests.support.truth.traffic import CHAT, Request

START = 1_000_000.0


def _request(ended: float, outcome: str = "ok", ttft: float | None = 1.0, duration: float = 2.0) -> Request:
    tokens = (40, 10, 0, 0) if outcome == "ok" else None
    return Request(
        START + ended - duration, START + ended, "k", "large", CHAT, True, outcome, 200, ttft, duration, tokens, 3
    )


TRUTH = Truth(
    [_request(10), _request(20, "stream_error"), _request(30, "cancelled"), _request(40, ttft=3.0, duration=30)],
    [int(START) + at for at in range(0, 60, 5)],
)


def _value(measure: m.Measure, start: float, end: float, key: str = "") -> float | None:
    return measure.values(TRUTH, START + start, START + end).get(key)


def test_a_window_excludes_its_start_and_includes_its_end() -> None:
    assert _value(m.total(), 10, 40) == 3
    assert _value(m.total(), 9, 39) == 3


def test_ratios_have_no_value_without_requests() -> None:
    error_rate = m.ratio(m.total(a.failed), m.total(a.judged))
    assert _value(error_rate, 0, 50) == pytest.approx(1 / 3)
    assert _value(error_rate, 25, 35) is None


def test_a_quantile_is_that_of_a_request() -> None:
    # Of three first tokens: a cancelled stream has none.
    assert _value(m.quantile(0.5, a.ttft, "ttft"), 0, 50) == 1.0
    assert _value(m.quantile(0.95, a.ttft, "ttft"), 0, 50) == 3.0


def test_requests_within_a_bound_are_counted_cumulatively() -> None:
    counts = m.within(a.ttft, "ttft").values(TRUTH, START, START + 50)
    assert (counts["0.75"], counts["1.0"], counts["2.5"], counts["inf"]) == (0, 2, 2, 3)


def test_discarded_output_is_of_requests_that_did_not_succeed() -> None:
    assert m.discarded("reason").values(TRUTH, START, START + 50) == {"stream_error": 3, "cancelled": 3}


def test_the_peak_in_flight_is_that_of_the_scrapes() -> None:
    # From 28 to 30 two are in flight, and the scrape at 30 sees that one has just ended.
    assert _value(c.in_flight(), 11, 19) == 1
    assert _value(c.in_flight(), 0, 9) == 0
    assert _value(c.in_flight(), 25, 35) == 1


def test_dollars_of_requests_and_idle_time_are_the_price() -> None:
    parts = c.paid(by="part").values(TRUTH, START, START + 3600)
    assert sum(parts.values()) == pytest.approx(1.0)
    assert parts["requests"] == pytest.approx(0.8 / 3600 * 32 / 8)

"""Percentiles, medians and the table of the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from benchmarks import report

ROUND = report.Round(
    plain_done=1_000, plain_cpu_s=0.1, plain_wall_s=1, streams_done=10, events=500, stream_cpu_s=0.02,
    stream_wall_s=1, ttft_ms=[1.0, 2.0, 3.0], rss_mb=50,
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7], 99, 7),
        ([3, 1, 2], 50, 2),
        ([4, 1, 3, 2], 50, 2.5),
        ([1, 2], 99, 1.99),
        (range(101), 99, 99),
        (range(101), 0, 0),
        (range(101), 100, 100),
    ],
)
def test_percentiles_are_interpolated(values: list[float], percent: float, expected: float | None) -> None:
    assert report.percentile(values, percent) == (None if expected is None else pytest.approx(expected))


def test_a_row_has_medians_of_what_each_round_cost_per_unit() -> None:
    rounds = [replace(ROUND, plain_cpu_s=cost, stream_cpu_s=cost, rss_mb=cost) for cost in (0.1, 9.0, 0.2)]
    row = report.summarise("x", rounds, [ROUND] * 3)
    assert row.cpu_s_per_1000 == pytest.approx(0.2)
    assert row.cpu_s_per_100k == pytest.approx(0.2 * 200)
    assert row.rss_mb == 9.0


def test_added_time_is_compared_within_a_round() -> None:
    slow = [value + 100 for value in ROUND.ttft_ms]  # the whole machine was slow in the second round
    direct = [ROUND, replace(ROUND, ttft_ms=slow), ROUND]
    measured = [replace(round_, ttft_ms=[value + 0.5 for value in round_.ttft_ms]) for round_ in direct]
    row = report.summarise("x", measured, direct)
    assert row.added_p50_ms == pytest.approx(0.5)
    assert row.added_p99_ms == pytest.approx(0.5)
    assert report.summarise(report.DIRECT, direct, direct).added_p50_ms is None


def test_a_target_that_failed_every_request_is_not_measured() -> None:
    dead = replace(ROUND, plain_done=0, streams_done=0, events=0, ttft_ms=[], failures=Counter({"plain: refused": 9}))
    row = report.summarise("dead", [dead, dead], [ROUND, ROUND])
    assert row.cpu_s_per_1000 is None
    text = report.table([row])
    assert "| dead | not measured | not measured | not measured / not measured | 50 | **18** |" in text
    assert "dead failed: 18 times plain: refused" in text


def test_the_table_is_markdown() -> None:
    rows = [report.summarise(name, [ROUND], [ROUND]) for name in (report.DIRECT, "gateway-1")]
    heading, rule, direct, gateway = report.table(rows).splitlines()
    assert heading.count("|") == rule.count("|") == direct.count("|") == gateway.count("|")
    assert direct == "| direct (the mock itself) | 0.100 | 4.00 | - | 50 | 0 |"
    assert gateway == "| gateway-1 | 0.100 | 4.00 | 0.00 / 0.00 | 50 | 0 |"


def test_a_round_is_kept_with_its_percentiles() -> None:
    kept = replace(ROUND, failures=Counter({"stream: no [DONE]": 1})).as_json()
    assert kept["streams"]["ttft_p50_ms"] == 2.0
    assert kept["failures"] == {"stream: no [DONE]": 1}

"""Percentiles, medians, the tables, the page and its charts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks import charts, document, plan, report

if TYPE_CHECKING:
    from pathlib import Path


def _timing(p50: float) -> dict[str, float]:
    return {"p50": p50, "p90": 2 * p50, "p99": 3 * p50, "max": 4 * p50}


def _sample(**changes: Any) -> dict[str, Any]:
    times = {"total_ms": _timing(1.0), "ttft_ms": _timing(0.5), "gap_ms": _timing(20.0)}
    counts = {"done": 1_000, "tokens": 16_000, "cpu_s": 0.1, "wall_s": 2.0, "rss_mb": 50.0, "failures": {}}
    return {**counts, **times, **changes}


def _target(version: str | None = None, **changes: Any) -> dict[str, Any]:
    samples = {name: [_sample(**changes) for _ in range(3)] for name in plan.WARM_UP}
    return {"does": "something", "version": version, "starts_s": [1.0, 3.0, 2.0], "idle_rss_mb": 40, "samples": samples}


@pytest.fixture
def results() -> dict[str, Any]:
    loads = {name: {"connections": 100, "tokens": 50, "interval_s": 0.02} for name in plan.WARM_UP}
    return {
        "when": "2026-11-27T10:00:00+00:00",
        "command": "python benchmarks/run.py --short",
        "machine": {"cpus": 2, "load_before": 0.1, "python": "3.11.7"},
        "plan": {"rounds": 3, "starts": 3, "loads": loads},
        "left_out": {},
        "targets": {
            "direct": _target(),
            "nginx": _target("nginx version: nginx/1.22.1", cpu_s=0.02),
            "gateway-1": _target(cpu_s=0.05, total_ms=_timing(1.5)),
            "smg": _target("1.13.0"),
        },
    }


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


def test_a_figure_has_the_median_and_the_spread_of_its_rounds() -> None:
    assert report.figure([3.0, None, 9.0, 1.0]) == (3.0, 1.0, 9.0)
    assert report.figure([None]) is None


def test_costs_are_per_unit() -> None:
    sample = _sample(cpu_s=0.5, done=2_000, tokens=50_000, wall_s=4.0)
    assert report.cpu_per_request(sample) == pytest.approx(0.25)
    assert report.cpu_per_event(sample) == pytest.approx(1.0)
    assert report.requests_per_second(sample) == pytest.approx(500)
    assert report.events_per_second(sample) == pytest.approx(12_500)
    nothing = _sample(done=0, tokens=0, total_ms=None)
    assert report.cpu_per_request(nothing) is None
    assert report.cpu_per_event(nothing) is None
    assert report.time_of("total_ms", "p50")(nothing) is None


def test_added_time_is_compared_within_a_round(results: dict[str, Any]) -> None:
    scenario = plan.plain(1)
    for name, base in (("direct", 1.0), ("gateway-1", 1.5)):  # the whole machine was slow in the second round
        samples = results["targets"][name]["samples"][scenario]
        samples[1] = _sample(total_ms=_timing(base + 100))
    assert report.added(results, "gateway-1", scenario, "total_ms", "p50") == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (0.01446, "0.0145"), (3.2e-5, "0.0000320"), (1.5, "1.50"), (12.34, "12.3"), (63_444, "63,400"),
        (-0.5, "-0.500"),
    ],
)  # fmt: skip
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_the_tables_are_markdown_with_a_row_for_each_target(results: dict[str, Any]) -> None:
    for make in (report.costs, report.latencies, report.throughput, report.prompts):
        heading, rule, *rows = make(results).splitlines()
        assert {line.count("|") for line in (heading, rule, *rows)} == {heading.count("|")}
        assert [row.split(" | ")[0] for row in rows] == [
            "| (the mock engine itself)", "| nginx 1.22.1", "| **Glasshouse**, 1 worker", "| smg 1.13.0",
        ]  # fmt: skip
    assert "| 0.0200 / 0.0200 |" in report.costs(results)
    assert "| 40 / 50 | 2.00 (1.00 to 3.00) |" in report.costs(results)
    assert "| - | 20.0 | - |" not in report.latencies(results).splitlines()[-1]


def test_failures_and_what_was_left_out_are_below_the_tables(results: dict[str, Any]) -> None:
    assert report.failures(results) == {}
    results["targets"]["smg"]["samples"][plan.PACED][1]["failures"] = {"no [DONE]": 2}
    results["left_out"]["litellm"] = "it cannot be installed"
    text = report.tables(results)
    assert "- smg failed: 2 times streams, paced: no [DONE]" in text
    assert "- litellm is left out: it cannot be installed" in text
    page = document.page(results)
    assert "- smg: 2 times streams, paced: no [DONE]" in page
    assert "- litellm is left out: it cannot be installed" in page


def test_a_run_of_some_scenarios_has_gaps_in_its_tables(results: dict[str, Any]) -> None:
    some = copy.deepcopy(results)
    for target in some["targets"].values():
        target["samples"] = {plan.PACED: target["samples"][plan.PACED]}
    some["plan"]["loads"] = {plan.PACED: some["plan"]["loads"][plan.PACED]}
    assert "| - / - |" in report.costs(some)
    assert document.page(some)


def test_a_busy_machine_is_named_on_the_page(results: dict[str, Any]) -> None:
    assert "busy" not in document.page(results)
    results["machine"]["load_before"] = 1.1
    assert "**The machine was busy with other programs" in document.page(results)


def test_the_page_and_its_charts_are_written(results: dict[str, Any], tmp_path: Path) -> None:
    document.publish(results, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "Every answer of every gateway was complete and correct." in page
    assert "`python benchmarks/run.py --short`, 2026-11-27, 2 CPUs, load 0.1 before the run" in page
    for name, drawn in charts.charts(results).items():
        assert f"pictures/benchmarks/{name}" in page
        written = (tmp_path / "pictures" / "benchmarks" / name).read_text()
        assert written.startswith("<svg")
        assert "Glasshouse, 1 worker" in written
        assert "<script" not in written
        assert written.strip() == drawn.strip()  # the same results draw the same chart

import time

from tests.support.generated_files import goldens

from glasshouse.privacy_canary.canary import Report
from glasshouse.privacy_canary.metrics import Metrics


def values(metrics: Metrics, name: str) -> dict[str, float]:
    """The values of a metric by its only label's value."""
    found = [line.rpartition(" ") for line in metrics.page().splitlines() if line.startswith(name)]
    return {series.partition('"')[2].rstrip('"}'): float(value) for series, _, value in found}


def last_run(metrics: Metrics) -> float:
    return values(metrics, "privacy_canary_last_run_timestamp_seconds")[""]


def test_a_fresh_canary_counts_from_zero_and_claims_nothing() -> None:
    metrics = Metrics(3600)
    assert values(metrics, "privacy_canary_runs_total") == {"clean": 0, "found": 0, "incomplete": 0, "failed": 0}
    assert values(metrics, "privacy_canary_found") == values(metrics, "privacy_canary_readable") == {}
    assert last_run(metrics) == 0
    assert values(metrics, "privacy_canary_interval_seconds") == {"": 3600}
    assert abs(values(metrics, "process_start_time_seconds")[""] - time.time()) < 3600


def test_a_place_that_could_not_be_read_has_no_number_of_findings() -> None:
    metrics = Metrics(60)
    metrics.record(Report(found={"log:gateway": 0, "metrics:vllm": 2}, unreadable={"log:vllm": "gone"}))
    assert values(metrics, "privacy_canary_found") == {"log:gateway": 0, "metrics:vllm": 2}
    assert values(metrics, "privacy_canary_readable") == {"log:gateway": 1, "log:vllm": 0, "metrics:vllm": 1}
    assert values(metrics, "privacy_canary_runs_total")["found"] == 1
    assert last_run(metrics) == 0


def test_only_a_run_that_was_answered_and_read_everything_is_a_last_run() -> None:
    metrics = Metrics(60)
    for report in (
        Report(found={"a": 0}, failure="down"),
        Report(found={"a": 0}, unreadable={"b": "gone"}),
        Report(),
    ):
        metrics.record(report)
    assert last_run(metrics) == 0
    metrics.record(Report(found={"a": 0}))
    assert last_run(metrics) > 0
    assert values(metrics, "privacy_canary_runs_total") == {"clean": 1, "found": 0, "incomplete": 2, "failed": 1}


def test_the_recorded_scrape_has_the_same_metrics() -> None:
    metrics = Metrics(60)
    metrics.record(Report(found={"log:gateway": 0}))
    described = [line for line in metrics.page().splitlines() if line.startswith("#")]
    assert [line for line in goldens()["privacy-canary"].splitlines() if line.startswith("#")] == described

"""A version of an engine, or of any other part, that lacks a metric of a panel or an alert is noticed."""

import io
import re

import pytest
from tests.support.generated_files import goldens, job_of, variants

from observability import __main__ as command
from observability import missing_metrics

VLLM = next(part for part in goldens() if job_of(part) == "vllm")


def without(scrape: str, metric: str) -> str:
    """A scrape without one metric."""
    return "\n".join(line for line in scrape.splitlines() if not re.match(rf"{metric}[{{ ]", line))


@pytest.mark.parametrize("scrape", goldens())
def test_every_recorded_version_has_the_metrics_of_all_panels_and_alerts(scrape: str) -> None:
    more = "".join(text for job, text in variants() if job == job_of(scrape))
    missing = missing_metrics.find_missing(job_of(scrape), goldens()[scrape] + more)
    assert not missing, missing_metrics.format_report(scrape, missing)


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_recorded_scrapes_of_engines_carry_their_version(engine: str) -> None:
    recorded = [part for part in goldens() if job_of(part) == engine]
    assert recorded
    assert all(re.fullmatch(rf"{engine}-\d+(\.\w+)+", part) for part in recorded)


def test_panels_without_their_metric_are_reported() -> None:
    missing = missing_metrics.find_missing("vllm", without(goldens()[VLLM], "vllm:kv_cache_usage_perc"))
    assert set(missing) == {"vllm:kv_cache_usage_perc"}
    assert {"Engine / vLLM KV cache usage"} == set(missing["vllm:kv_cache_usage_perc"])


def test_alerts_without_their_metric_are_reported() -> None:
    scrape = without(goldens()["gateway"], "gateway_requests_total")
    missing = missing_metrics.find_missing("gateway", scrape)
    assert "alert HighCancellationRate" in missing["gateway_requests_total"]
    assert "Overview / Error rate (5m)" in missing["gateway_requests_total"]


def test_a_renamed_label_is_reported() -> None:
    scrape = goldens()[VLLM].replace("model_name=", "model=")
    missing = missing_metrics.find_missing("vllm", scrape)
    assert "Engine / Waiting" in missing["vllm:num_requests_waiting{model_name}"]
    assert "vllm:num_requests_waiting" not in missing


def test_a_job_that_nothing_queries_has_no_missing_metrics() -> None:
    assert not missing_metrics.find_missing("unused-job", "")


def test_the_command_reports_panels_and_alerts_without_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(without(goldens()[VLLM], "vllm:num_preemptions_total")))
    assert command.main(["--against", "vllm"]) == 1
    assert capsys.readouterr().out == (
        "vllm does not export vllm:num_preemptions_total: Engine / vLLM preemptions; alert KvCachePreemptions\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(goldens()[VLLM]))
    assert command.main(["--against", "vllm"]) == 0
    assert not capsys.readouterr().out

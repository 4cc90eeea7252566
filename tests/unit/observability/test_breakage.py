"""No version of an engine, nor of any other part, takes a panel's or an alert's metric away unnoticed."""

import io
import re

import pytest
from tests.unit.observability.generated_files import goldens, job_of

from observability import __main__ as command
from observability import breakage

VLLM = next(part for part in goldens() if job_of(part) == "vllm")


def without(scrape: str, metric: str) -> str:
    """A scrape from which a metric was taken out."""
    return "\n".join(line for line in scrape.splitlines() if not re.match(rf"{metric}[{{ ]", line))


@pytest.mark.parametrize("part", goldens())
def test_no_recorded_version_leaves_a_panel_or_an_alert_blind(part: str) -> None:
    lost = breakage.broken(job_of(part), goldens()[part])
    assert not lost, breakage.told(part, lost)


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_the_scrapes_of_engines_say_of_which_version_they_are(engine: str) -> None:
    recorded = [part for part in goldens() if job_of(part) == engine]
    assert recorded
    assert all(re.fullmatch(rf"{engine}-\d+(\.\w+)+", part) for part in recorded)


def test_every_panel_that_a_version_breaks_is_named() -> None:
    lost = breakage.broken("vllm", without(goldens()[VLLM], "vllm:kv_cache_usage_perc"))
    assert set(lost) == {"vllm:kv_cache_usage_perc"}
    assert {"Engine / vLLM KV cache in use"} == set(lost["vllm:kv_cache_usage_perc"])


def test_every_alert_that_a_version_breaks_is_named() -> None:
    scrape = without(goldens()["gateway"], "gateway_requests_total")
    lost = breakage.broken("gateway", scrape)
    assert "alert ClientsLeave" in lost["gateway_requests_total"]
    assert "Overview / Availability" in lost["gateway_requests_total"]


def test_a_label_that_is_renamed_is_missed_too() -> None:
    scrape = goldens()[VLLM].replace("model_name=", "model=")
    lost = breakage.broken("vllm", scrape)
    assert "Engine / Waiting" in lost["vllm:num_requests_waiting{model_name}"]
    assert "vllm:num_requests_waiting" not in lost


def test_another_part_is_not_blamed() -> None:
    assert not breakage.broken("nobody-asks-it", "")


def test_the_command_names_what_an_upgrade_would_blind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(without(goldens()[VLLM], "vllm:num_preemptions_total")))
    assert command.main(["--against", "vllm"]) == 1
    assert capsys.readouterr().out == (
        "vllm does not export vllm:num_preemptions_total: Engine / vLLM preemptions; alert KvCacheThrashes\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(goldens()[VLLM]))
    assert command.main(["--against", "vllm"]) == 0
    assert not capsys.readouterr().out

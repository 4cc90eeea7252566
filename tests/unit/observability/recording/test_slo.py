import shutil
from pathlib import Path

import pytest
from tests.support.promtool import run_cases

from observability import downsampling, settings
from observability.alerts import all_alerts
from observability.promql import metric_names
from observability.queries import slo
from observability.recording import slo as slo_rules

CASES = Path(__file__).parent / "slo.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_recorded_ratios(tmp_path: Path) -> None:
    run_cases(
        tmp_path,
        CASES,
        slo_rules.group(),
        BURN_RATE_1H=slo.burn_rate("availability", "1h").replace('"', '\\"'),  # stands in double quotes
        BUDGET_LEFT=slo.budget_left("availability"),
        BAD_REQUESTS_1H=slo.bad_requests("availability", "1h"),
    )


def test_each_service_level_is_recorded_over_every_window() -> None:
    names = slo_rules.group().series.keys()
    for level in slo.all_service_levels():
        assert f"slo:{level.name}_objective" in names
        for window in settings.SLO_WINDOWS:
            assert {
                f"slo:{level.name}_{level.fault}:ratio_rate{window}",
                f"slo:{level.name}_{level.fault}:increase{window}",
                f"slo:{level.name}_judged:increase{window}",
            } <= names
        for query in (slo.ratio(level.name, "1h"), slo.bad_requests(level.name, "3d"), slo.budget(level.name)):
            assert query.removesuffix("{}") in names


def test_increases_are_counted_between_evaluations_of_the_group() -> None:
    assert slo_rules.group().interval_seconds == settings.EVALUATION_INTERVAL_SECONDS
    assert f"[{slo.STEP}] offset {settings.SCRAPE_INTERVAL_SECONDS}s" in slo_rules.group().series[slo.ANSWERED]
    assert settings.SCRAPE_TIMEOUT_SECONDS < settings.SCRAPE_INTERVAL_SECONDS  # a sample is stored by then
    assert slo.EVALUATIONS_PER_BUDGET_WINDOW * settings.EVALUATION_INTERVAL_SECONDS == 3 * 86400


def test_an_unknown_service_level_or_window_is_an_error() -> None:
    with pytest.raises(KeyError):
        slo.burn_rate("beauty", "1h")
    with pytest.raises(ValueError, match="5m, 30m, 1h"):
        slo.ratio("availability", "7h")


def test_what_alerts_read_has_no_label_that_selects_steps() -> None:
    """It would be in every message."""
    read_by_alerts = {name for alert in all_alerts() for name in metric_names(alert.expr)}
    assert not {name for name in read_by_alerts if downsampling.is_downsampled(name)}
    assert not any(downsampling.labels(level.bad_series(slo.STEP)) for level in slo.all_service_levels())

import re
import shutil
from pathlib import Path

import pytest
from tests.support.promtool import run_cases

from observability import downsampling, recording, settings
from observability.recording import dashboards, downsampled, extremes

CASES = Path(__file__).parent / "downsampled.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_long_steps_hold_what_the_short_ones_do(tmp_path: Path) -> None:
    made_of = (dashboards.group(), extremes.group(), extremes.machines(), downsampled.group())
    run_cases(tmp_path, CASES, *made_of)


def test_every_series_of_short_steps_has_long_ones() -> None:
    group = downsampled.group()
    short = [name for name in recording.series() if downsampling.is_downsampled(name)]
    of_all_models = {downsampling.of_all_models(name) for name in short if downsampling.is_by_model(name)}
    assert group.series.keys() == {downsampling.long_steps(name) for name in short} | of_all_models


def test_no_short_step_is_in_two_long_ones_or_in_none() -> None:
    """Each window begins where the one before ended, and ends before samples that may not be stored yet."""
    group = downsampled.group()
    window = f"[{group.interval_seconds}s] offset {settings.EVALUATION_INTERVAL_SECONDS}s"
    assert all(window in expr for expr in group.series.values())
    assert group.interval_seconds == downsampling.LONG_STEP_SECONDS


def test_both_steps_have_the_label_by_which_they_are_selected() -> None:
    for rule in (rule for group in recording.rules()["groups"] for rule in group["rules"]):
        assert rule.get("labels", {}) == downsampling.labels(rule["record"])
    # Long steps keep it: nothing is aggregated, or only the models.
    for name in downsampled.group().series.values():
        assert re.match(r"(sum without \(model\) \()?(sum|max|min)_over_time\([\w:]+\{\}", name)

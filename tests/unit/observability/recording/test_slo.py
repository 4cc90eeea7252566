import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.generated_files import ROOT

from observability import settings
from observability.queries import slo
from observability.recording import slo as slo_rules

CASES = Path(__file__).parent / "slo.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_recorded_ratios(tmp_path: Path) -> None:
    text = CASES.read_text(encoding="utf-8")
    for place, value in {
        "[RULES]": f'["{ROOT / "prometheus/rules/recording.yml"}"]',
        "BURN_RATE_1H": slo.burn_rate("availability", "1h").replace('"', '\\"'),  # stands in double quotes
        "BUDGET_LEFT": slo.budget_left("availability"),
        "BAD_REQUESTS_1H": slo.bad_requests("availability", "1h"),
    }.items():
        assert place in text
        text = text.replace(place, value)
    file = tmp_path / "slo.test.yml"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_service_level_is_recorded_over_every_window() -> None:
    names = list(slo_rules.group().series)
    for level in slo.all_service_levels():
        assert f"slo:{level.name}_objective" in names
        assert {f"{level.stem}:ratio_rate{window}" for window in settings.SLO_WINDOWS} <= set(names)
    assert {slo.ratio(level.name, "1h").removesuffix("{}") for level in slo.all_service_levels()} <= set(names)


def test_the_base_window_is_a_multiple_of_the_evaluation_interval() -> None:
    assert slo.BASE_WINDOW == "5m"
    assert 5 * 60 % settings.EVALUATION_INTERVAL_SECONDS == 0
    assert slo_rules.group().interval_seconds == settings.EVALUATION_INTERVAL_SECONDS


def test_an_unknown_service_level_or_window_is_an_error() -> None:
    with pytest.raises(KeyError):
        slo.burn_rate("beauty", "1h")
    with pytest.raises(ValueError, match="5m, 30m, 1h"):
        slo.ratio("availability", "7h")

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.generated_files import recording_groups

from observability import settings
from observability.queries import reconciliation
from observability.recording import reconciliation as rules

CASES = Path(__file__).parent / "reconciliation.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_residuals_by_cause(tmp_path: Path) -> None:
    text = CASES.read_text(encoding="utf-8")
    for place, value in {
        "[RULES]": '["rules.yml"]',
        "DRIFT": reconciliation.drift("5m").replace('"', r"\""),
    }.items():
        assert place in text
        text = text.replace(place, value)
    file = tmp_path / "reconciliation.test.yml"
    file.write_text(text, encoding="utf-8")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(recording_groups(rules.group().name)), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_quantity_is_reconciled_once_a_minute_and_by_every_cause() -> None:
    group = rules.group()
    assert group.interval_seconds == 60
    for quantity in reconciliation.quantities():
        residual = group.series[quantity.series("residual")]
        assert [cause for cause in reconciliation.CAUSES if f'"cause", "{cause}"' in residual] == list(
            reconciliation.CAUSES
        )


def test_a_window_is_a_whole_number_of_evaluations() -> None:
    assert f"{reconciliation.WINDOW_SECONDS // 60}m" == reconciliation.WINDOW
    assert reconciliation.WINDOW_SECONDS % settings.RECONCILIATION_INTERVAL_SECONDS == 0

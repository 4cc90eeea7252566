import shutil
from pathlib import Path

import pytest
from tests.support.promtool import run_cases

from observability import settings
from observability.queries import reconciliation
from observability.recording import reconciliation as rules

CASES = Path(__file__).parent / "reconciliation.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_residuals_by_cause(tmp_path: Path) -> None:
    run_cases(tmp_path, CASES, rules.group(), DRIFT=reconciliation.drift("5m").replace('"', r"\""))


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

import shutil
from pathlib import Path

import pytest
from tests.support.promtool import run_cases

from observability.recording import events

CASES = Path(__file__).parent / "events.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_a_start_is_recorded_for_as_long_as_it_is_recent(tmp_path: Path) -> None:
    run_cases(tmp_path, CASES, events.group())

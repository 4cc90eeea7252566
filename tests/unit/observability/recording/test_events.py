import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.generated_files import recording_groups

from observability.recording import events

CASES = Path(__file__).parent / "events.test.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_a_start_is_recorded_for_as_long_as_it_is_recent(tmp_path: Path) -> None:
    text = CASES.read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(recording_groups(events.group().name)), encoding="utf-8")
    assert "[RULES]" in text
    file = tmp_path / "events.test.yml"
    file.write_text(text.replace("[RULES]", '["rules.yml"]'), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

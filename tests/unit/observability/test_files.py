import subprocess
import sys
from pathlib import Path

from tests.unit.observability.generated_files import ROOT

from observability import __main__ as command
from observability import files


def test_the_committed_files_are_what_the_source_writes() -> None:
    assert files.stale(ROOT) == []


def test_no_file_of_grafana_or_prometheus_is_written_by_hand() -> None:
    there = {
        str(path.relative_to(ROOT))
        for top in ("grafana", "prometheus")
        for path in (ROOT / top).rglob("*.*")
        if path.is_file()
    }
    assert there == {path for path in files.generated() if path.startswith(("grafana/", "prometheus/"))}


def test_the_command_writes_what_is_missing_and_then_nothing(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", command.__package__, *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    before = run("--check")
    assert before.returncode == 1
    assert "run `make dashboards`" in before.stderr
    assert len(run().stderr.splitlines()) == len(files.generated())
    assert run("--check").returncode == 0
    (tmp_path / "prometheus" / "blackbox.yml").write_text("modules: {}\n")
    assert "prometheus/blackbox.yml" in run("--check").stderr
    assert run().stderr.splitlines() == ["wrote prometheus/blackbox.yml"]

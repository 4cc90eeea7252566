import subprocess
import sys
from pathlib import Path

from tests.support.generated_files import ROOT

from observability import __main__ as command
from observability import files


def test_committed_files_are_current() -> None:
    assert files.stale(ROOT) == []


def test_grafana_and_prometheus_contain_only_generated_files() -> None:
    there = {
        str(path.relative_to(ROOT))
        for top in ("grafana", "prometheus")
        for path in (ROOT / top).rglob("*.*")
        # `make drill` writes its targets there, while it runs.
        if path.is_file() and path.parent != ROOT / "prometheus/drill"
    }
    assert there == {path for path in files.generated() if path.startswith(("grafana/", "prometheus/"))}


def test_the_command_writes_files_that_are_missing_or_differ(tmp_path: Path) -> None:
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

"""A whole small run, from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from benchmarks import processes, targets
from tests.support.program import free_port, until

RUN = Path(targets.__file__).with_name("run.py")
needs_nginx = pytest.mark.skipif(not targets.NGINX.exists(), reason="nginx is not installed")


def _command(*options: str) -> list[str]:
    small = ("--rounds", "2", "--requests", "200", "--streams", "5", "--repeats", "1")
    return [sys.executable, str(RUN), *small, "--first-port", str(free_port()), *options]


def test_a_whole_run_reports_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "results" / "small.json"
    done = subprocess.run(
        _command("--targets", "direct", "--out", str(out)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| direct (the mock itself) | 0." in done.stdout
    results = json.loads(out.read_text())
    assert results["medians"]["direct"]["failures"] == {}
    assert [measured["plain"]["done"] for measured in results["rounds"]["direct"]] == [200, 200]
    assert [measured["streams"]["token_events"] for measured in results["rounds"]["direct"]] == [250, 250]
    assert str(Path.cwd()) not in out.read_text()


@needs_nginx
def test_nginx_relays_every_token(tmp_path: Path) -> None:
    out = tmp_path / "nginx.json"
    done = subprocess.run(
        _command("--targets", "nginx", "--rounds", "1", "--out", str(out)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["medians"]["nginx"]["failures"] == {}
    assert results["medians"]["nginx"]["added_p50_ms"] is not None
    assert results["versions"]["nginx"].startswith("nginx version")


@pytest.mark.parametrize("ignored", [False, True], ids=["terminal", "background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_child(number: signal.Signals, ignored: bool) -> None:
    # A shell starts background jobs with SIGINT ignored.
    command = (["env", "--ignore-signal=INT"] if ignored else ["env", "--default-signal=INT"]) + _command(
        "--targets", "nginx", "--rounds", "1000"
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "measured" in line:
                break
        children = [process for process in processes.tree(run.pid) if process.pid != run.pid]
        run.send_signal(number)
        run.stderr.read()
    assert run.returncode != 0
    assert children
    # psutil tells a child from another process with the same pid; a zombie is one for which init has not waited yet.
    until(lambda: not [child for child in children if _runs(child)], 10, "every child has ended")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("options", [("--targets", "apache"), ("--rounds", "0"), ("--workers", "0")], ids=" ".join)
def test_an_invalid_option_is_refused(options: tuple[str, ...]) -> None:
    done = subprocess.run(_command(*options), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2

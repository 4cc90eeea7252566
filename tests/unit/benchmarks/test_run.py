"""A whole small run, from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from benchmarks import processes, run
from benchmarks.native_programs import NativePrograms
from benchmarks.targets.nginx import NGINX
from tests.support.program import free_port, until

RUN = Path(run.__file__)
pytestmark = pytest.mark.usefixtures("programs")
needs_nginx = pytest.mark.skipif(not NGINX.exists(), reason="nginx is not installed (Debian: nginx-light)")


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*options), capture_output=True, text=True, timeout=100, check=False)


def _command(*options: str) -> list[str]:
    return [sys.executable, str(RUN), "--short", "--rounds", "1", "--first-port", str(free_port()), *options]


def test_a_whole_run_reports_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "results" / "small.json"
    done = _run("--targets", "direct", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "| (the mock engine itself) | the mock engine itself | 0." in done.stdout
    results = json.loads(out.read_text())
    direct = results["targets"]["direct"]["samples"]
    assert len(direct) == 9
    assert direct["streams, paced"][0]["tokens"] == 100 * 50
    assert all(samples[0]["failures"] == {} and samples[0]["done"] > 0 for samples in direct.values())
    assert str(Path.cwd()) not in out.read_text()
    again = _run("--from", str(out))
    assert again.stdout == done.stdout


@needs_nginx
def test_nginx_relays_every_token_with_and_without_tls(tmp_path: Path, programs: NativePrograms) -> None:
    out = tmp_path / "nginx.json"
    names = "nginx,nginx-tls" if programs.tls else "nginx"
    done = _run("--targets", names, "--scenarios", "streams", "--out", str(out))
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert list(results["targets"]) == ["direct", *names.split(",")]
    assert results["targets"]["nginx"]["version"].startswith("nginx version")
    assert 0 < results["targets"]["nginx"]["starts_s"][0] < 60


@pytest.mark.parametrize("ignored", [False, True], ids=["terminal", "background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_child(number: signal.Signals, ignored: bool) -> None:
    # A shell starts background jobs with SIGINT ignored.
    command = (["env", "--ignore-signal=INT"] if ignored else ["env", "--default-signal=INT"]) + _command(
        "--targets", "nginx", "--rounds", "1000", "--scenarios", "plain, 1 "
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "measured" in line:
                break
        children = [child for child in processes.tree(process.pid) if child.pid != process.pid]
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode != 0
    assert children
    # psutil tells a child from another process with the same pid; a zombie is one for which init has not waited yet.
    until(lambda: not [child for child in children if _runs(child)], 10, "every child has ended")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("options", [("--targets", "apache"), ("--rounds", "0"), ("--scenarios", "fast")], ids=" ".join)
def test_an_invalid_option_is_refused(options: tuple[str, ...]) -> None:
    assert _run(*options).returncode == 2

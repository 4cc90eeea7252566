"""The harness: children that start, fail and end, and a whole small run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks import child, processes, targets

RUN = Path(targets.__file__).with_name("run.py")
needs_nginx = pytest.mark.skipif(not targets.NGINX.exists(), reason="nginx is not installed")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return min(port, 65_535 - targets.PORTS)


def _start(tmp_path: Path, *command: str) -> child.Child:
    return child.start("child", [sys.executable, *command], os.environ, tmp_path, tmp_path)


def _command(*options: str) -> list[str]:
    small = ("--rounds", "2", "--requests", "200", "--streams", "5", "--repeats", "1")
    return [sys.executable, str(RUN), *small, "--first-port", str(_free_port()), *options]


def test_a_child_is_ended_with_those_that_it_leaves_behind(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    started = _start(tmp_path, "-c", code)
    while started.log.stat().st_size == 0:
        time.sleep(0.01)
    (orphan,) = set(processes.tree(started.pid)) - {started.pid}
    started.stop()
    time.sleep(0.1)
    stat = processes.read_stat(orphan)
    assert stat is None or not stat.pages  # gone, or a zombie that nobody has collected yet
    assert processes.read_stat(started.pid) is None


def test_a_child_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "STOP_TIMEOUT_S", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    started = _start(tmp_path, "-c", code)
    while started.log.stat().st_size == 0:
        time.sleep(0.01)
    started.stop()
    assert started.process.returncode == -signal.SIGKILL


def test_a_child_that_ends_early_says_why(tmp_path: Path) -> None:
    started = _start(tmp_path, "-c", "raise SystemExit('no such knob')")
    with pytest.raises(child.NotReadyError, match="ended with 1:\nno such knob"):
        started.wait_ready(_free_port(), "/", 10)
    started.stop()


def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path, mock: Any) -> None:
    mock.change(health=503)
    started = _start(tmp_path, "-c", "input()")
    started.process.wait(10)
    started = _start(tmp_path, "-c", "import time; time.sleep(60)")
    with pytest.raises(child.NotReadyError, match="/health was 503 after 0 s"):
        started.wait_ready(mock.port, "/health", 0.3)
    started.stop()


def test_ports_are_free_and_given_once(tmp_path: Path) -> None:
    first = _free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        place = targets.Place(tmp_path, first)
        assert len({place.port(), place.port(), first}) == 3


def test_a_missing_target_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "NGINX", tmp_path / "nginx")
    monkeypatch.setattr(targets, "ROOT", tmp_path)
    monkeypatch.setattr(targets, "start_mock", lambda _: None)
    running, missing = targets.start(targets.Place(tmp_path, _free_port()), ["nginx", "gateway"], [1, 2])
    assert running == [None]
    assert "not installed" in missing["nginx"]
    assert set(missing) == {"nginx", "gateway-1", "gateway-2"}


def test_a_whole_run_reports_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "results" / "small.json"
    done = subprocess.run(
        _command("--targets", "direct", "--out", str(out)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| direct (the mock itself) | 0." in done.stdout
    results = json.loads(out.read_text())
    assert results["medians"]["direct"]["failures"] == {}
    assert [one["plain"]["done"] for one in results["rounds"]["direct"]] == [200, 200]
    assert [one["streams"]["token_events"] for one in results["rounds"]["direct"]] == [250, 250]
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
    # What a shell starts in the background begins with SIGINT ignored.
    command = (["env", "--ignore-signal=INT"] if ignored else ["env", "--default-signal=INT"]) + _command(
        "--targets", "nginx", "--rounds", "1000"
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as harness:
        assert harness.stderr is not None
        for line in harness.stderr:
            if "measured" in line:
                break
        children = {pid: stat.started for pid, stat in processes.tree(harness.pid).items() if pid != harness.pid}
        harness.send_signal(number)
        harness.stderr.read()
    assert harness.returncode != 0
    assert children
    alive = {pid: stat for pid in children if (stat := processes.read_stat(pid)) is not None and stat.pages}
    assert not [pid for pid, stat in alive.items() if stat.started == children[pid]]


def test_what_cannot_be_measured_is_refused() -> None:
    for wrong in (("--targets", "apache"), ("--rounds", "0"), ("--workers", "0")):
        done = subprocess.run(_command(*wrong), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2

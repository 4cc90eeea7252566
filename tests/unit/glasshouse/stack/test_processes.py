import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from glasshouse.stack import processes

_FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("up", flush=True)
time.sleep(60)
"""


def _family(directory: Path) -> subprocess.Popen[str]:
    leader = subprocess.Popen(
        [sys.executable, "-c", _FAMILY], cwd=directory, start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    assert leader.stdout is not None
    assert leader.stdout.readline() == "up\n"
    return leader


def test_a_process_is_identified_by_when_it_started() -> None:
    started = processes.start_ticks(os.getpid())
    assert started is not None
    assert processes.is_alive(os.getpid(), started)
    assert processes.is_alive(os.getpid(), None)
    assert not processes.is_alive(os.getpid(), started + 1)  # the ID, used again by another


def test_a_clock_that_is_set_changes_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    started = processes.start_ticks(os.getpid())
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    assert processes.is_alive(os.getpid(), started)


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while processes.find(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.find(child.pid) is None
    child.wait()
    assert not processes.is_alive(child.pid, None)
    assert processes.start_ticks(child.pid) is None


def test_a_session_is_found_and_ended_with_all_that_it_started(tmp_path: Path) -> None:
    with _family(tmp_path) as leader:
        members = processes.session_members(leader.pid, tmp_path)
        assert len(members) == 3
        processes.send(members, signal.SIGTERM)
        leader.wait()
        assert processes.wait_gone(leader.pid, tmp_path, 10) == ()


def test_a_session_outlives_its_leader_and_is_still_found(tmp_path: Path) -> None:
    with _family(tmp_path) as leader:
        everyone = processes.session_members(leader.pid, tmp_path)
        leader.kill()
        leader.wait()
        left = processes.session_members(leader.pid, tmp_path)
        assert len(left) == 1
        processes.send(everyone, signal.SIGKILL)  # one of them is gone already
        assert processes.wait_gone(leader.pid, tmp_path, 10) == ()


def test_a_session_that_works_elsewhere_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with _family(tmp_path / "theirs") as leader:
        assert processes.session_members(leader.pid, tmp_path) == ()
        processes.send(processes.session_members(leader.pid, tmp_path / "theirs"), signal.SIGKILL)


def test_a_process_is_described_by_the_beginning_of_its_command_line() -> None:
    words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "two\nlines", "x" * 100]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = psutil.Process(child.pid)
        assert processes.describe(process).startswith(f"{child.pid} ({sys.executable} -c import sys;"[:70])
        assert "\n" not in processes.command(process)
        assert len(processes.command(process)) == 60
        child.kill()
    assert processes.command(process) == ""

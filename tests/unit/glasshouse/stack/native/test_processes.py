import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from glasshouse.stack.native import processes

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


def test_this_process_is_found_with_its_session() -> None:
    itself = processes.find(os.getpid())
    assert itself is not None
    assert itself.session == os.getsid(0)
    assert itself.parent == os.getppid()
    assert processes.is_alive(itself.pid, itself.started)
    assert not processes.is_alive(itself.pid, itself.started + 1)  # the number, used again by another


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while processes.find(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.find(child.pid) is None
    child.wait()


def test_a_session_is_found_and_ended_with_all_that_it_started(tmp_path: Path) -> None:
    with _family(tmp_path) as leader:
        members = processes.in_session(leader.pid, tmp_path)
        assert len(members) == 3
        processes.end(members, signal.SIGTERM)
        leader.wait()
        assert processes.wait_gone(leader.pid, tmp_path, 10) == ()


def test_a_session_outlives_its_leader_and_is_still_found(tmp_path: Path) -> None:
    with _family(tmp_path) as leader:
        everyone = processes.in_session(leader.pid, tmp_path)
        leader.kill()
        leader.wait()
        left = processes.in_session(leader.pid, tmp_path)
        assert len(left) == 1
        processes.end(everyone, signal.SIGKILL)
        assert processes.wait_gone(leader.pid, tmp_path, 10) == ()


def test_a_session_that_works_elsewhere_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with _family(tmp_path / "theirs") as leader:
        assert processes.in_session(leader.pid, tmp_path) == ()
        processes.end(processes.in_session(leader.pid, tmp_path / "theirs"), signal.SIGKILL)

"""Child processes of the benchmarks: they start, fail and end."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from benchmarks import child, processes
from tests.support.program import until

if TYPE_CHECKING:
    from pathlib import Path


def _start(tmp_path: Path, *command: str) -> child.Child:
    return child.start("child", [sys.executable, *command], os.environ, tmp_path, tmp_path)


def _never() -> None:
    """Nothing is ready."""


def _wait_for_output(started: child.Child) -> None:
    until(lambda: started.log.stat().st_size > 0, 20, "the child prints something")


def test_a_child_is_stopped_with_the_processes_that_it_leaves_behind(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    started = _start(tmp_path, "-c", code)
    _wait_for_output(started)
    (orphan,) = (process for process in processes.tree(started.pid) if process.pid != started.pid)
    started.stop()
    # Gone, or a zombie for which init has not waited yet.
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, 10, "the orphan has ended")
    assert processes.tree(started.pid) == []


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "STOP_TIMEOUT_S", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    started = _start(tmp_path, "-c", code)
    _wait_for_output(started)
    started.stop()
    assert started.process.returncode == -signal.SIGKILL


def test_waiting_returns_what_is_ready(tmp_path: Path) -> None:
    started = _start(tmp_path, "-c", "import time; time.sleep(60)")
    answers = iter([None, None, 7])
    assert started.wait_until(lambda: next(answers), 0.01, 20) == 7
    started.stop()


def test_a_child_that_ends_early_reports_its_log(tmp_path: Path) -> None:
    started = _start(tmp_path, "-c", "raise SystemExit('no such option')")
    with pytest.raises(child.NotReadyError, match="ended with 1:\nno such option"):
        started.wait_until(_never, 0.01, 20)
    started.stop()


def test_a_child_that_is_never_ready_times_out(tmp_path: Path) -> None:
    started = _start(tmp_path, "-c", "import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(child.NotReadyError, match="is not ready after 0 s"):
        started.wait_until(_never, 0.01, 0.3)
    assert time.monotonic() - began >= 0.3
    started.stop()

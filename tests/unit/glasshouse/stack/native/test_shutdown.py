import subprocess
import sys
from pathlib import Path

import pytest

from glasshouse.settings import Settings
from glasshouse.stack import processes
from glasshouse.stack.native import shutdown, state

_POLITE = "import time; print('up', flush=True); time.sleep(60)"
_STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_POLITE}"


def _start(settings: Settings, program: str, *, is_supervisor: bool) -> "subprocess.Popen[str]":
    """A session in the checkout that stands in for a stack; without its supervisor, only the ID is the session's."""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=settings.root,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    settings.run_dir.mkdir(exist_ok=True)
    started = processes.start_ticks(child.pid) if is_supervisor else 1
    state.write(settings.run_dir, state.State(child.pid, started, state.boot_id(), "http://x", None, None, 1))
    return child


def test_nothing_that_runs_is_no_report_and_a_stale_record_goes(settings: Settings) -> None:
    assert shutdown.stop(settings) is None
    settings.run_dir.mkdir()
    state.write(settings.run_dir, state.State(1, 1, "another boot", "http://x", None, None, 1))
    (settings.run_dir / "supervisord.pid").write_text("1")
    assert shutdown.stop(settings) is None
    assert state.read(settings.run_dir) is None
    assert not (settings.run_dir / "supervisord.pid").exists()


@pytest.mark.parametrize("is_supervisor", [True, False])
def test_what_ends_at_a_signal_is_not_killed(settings: Settings, is_supervisor: bool) -> None:
    with _start(settings, _POLITE, is_supervisor=is_supervisor) as child:
        report = shutdown.stop(settings)
        assert report is not None
        assert report.killed == ()
        assert child.wait() < 0
    assert state.read(settings.run_dir) is None


def test_what_ignores_the_signal_is_killed_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutdown, "_LEFTOVER_GRACE_S", 0.2)
    with _start(settings, _STUBBORN, is_supervisor=False) as child:
        report = shutdown.stop(settings)
        assert report is not None
        (killed,) = report.killed
        assert killed.startswith(f"{child.pid} ({sys.executable}"[:40])
    assert processes.session_members(child.pid, tmp_path) == ()

import os
import sys
from pathlib import Path

import pytest

from glasshouse.system import System, run

_BOTH = "import os; os.write(1, b'out '); os.write(2, b'err '); os.write(1, b'out'); raise SystemExit(3)"


def test_status_and_both_outputs_are_captured(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", _BOTH, environment=os.environ, directory=tmp_path)
    assert (done.status, done.stdout, done.stderr) == (3, "out out", "err ")
    assert done.error == "err"
    merged = run(sys.executable, "-c", _BOTH, environment=os.environ, merge_output=True)
    assert (merged.stdout, merged.stderr) == ("out err out", "")
    assert merged.error == "out err out"


def test_a_command_sees_its_own_environment_directory_and_session(tmp_path: Path) -> None:
    code = "import os; print(os.environ.get('ONE'), os.getcwd(), os.getsid(0) == os.getpid())"
    done = run(sys.executable, "-c", code, environment={"ONE": "1"}, directory=tmp_path, own_session=True)
    assert done.stdout == f"1 {tmp_path} True\n"


def test_what_is_missing_or_hangs_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run("no-such-program", environment={"PATH": "/nowhere"})
    with pytest.raises(TimeoutError, match="timed out after"):
        run(sys.executable, "-c", "import time; time.sleep(60)", environment={}, timeout_s=0.1)


def test_a_query_that_fails_says_so_and_raises_nothing(tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\necho answer; echo trouble >&2; exit ${1:-0}\n")
    program.chmod(0o755)
    system = System({"PATH": str(tmp_path)})
    assert system.has("tool")
    assert system.ask("tool") == (True, "answer")
    assert system.ask("tool", "4") == (False, "trouble")
    assert system.ask("other") == (False, "")


def test_files_are_looked_up_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "uptime").write_text("5.0")
    system = System({}, tmp_path)
    assert system.read("/proc/uptime") == "5.0"
    assert system.read("proc/7") == ""
    assert system.entries("proc") == ("proc/7", "proc/uptime")
    assert system.entries("sys") == ()

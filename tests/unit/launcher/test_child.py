import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launcher.child import Child, Command, describe_exit


def python(code: str, *, stdin: bytes = b"") -> Command:
    return Command((sys.executable, "-c", code), os.environ, stdin=stdin)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie runs no more; whoever adopted it may reap it late


def gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_lines_and_exit_code() -> None:
    lines: list[str] = []
    child = Child(python("import sys; print('a\\n'); print('10%\\r20%', file=sys.stderr); sys.exit(3)"), lines.append)

    assert child.wait(10)
    child.close()
    assert child.exit_code() == 3
    assert sorted(lines) == ["10%", "20%", "a"]


def test_stdin_carries_secrets() -> None:
    lines: list[str] = []
    child = Child(python("print(input()[::-1])", stdin=b"sekret\n"), lines.append)
    child.wait(10)
    child.close()

    assert lines == ["terkes"]


def test_a_program_that_does_not_exist() -> None:
    lines: list[str] = []
    child = Child(Command(("/no/such/program",), os.environ), lines.append)
    child.wait(10)
    child.close()

    assert child.exit_code() == 1
    assert lines == ["/no/such/program cannot be run: No such file or directory"]


def test_close_kills_the_whole_group_even_when_it_ignores_sigterm() -> None:
    lines: list[str] = []
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(99)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    child = Child(python(parent), lines.append)
    deadline = time.monotonic() + 10
    while "up" not in lines and time.monotonic() < deadline:
        time.sleep(0.02)
    child.close()

    assert child.exit_code() == -signal.SIGTERM
    (grandchild,) = (int(line) for line in lines if line.isdigit())
    assert gone(grandchild)


def test_waiting_ends_early_when_it_is_given_up() -> None:
    child = Child(python("import time; time.sleep(99)"), lambda _: None)
    began = time.monotonic()

    assert not child.wait(60, give_up=lambda: True)
    assert time.monotonic() - began < 5
    child.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_dies_with_its_launcher(number: signal.Signals) -> None:
    code = (
        "import os, signal, sys, threading, time\n"
        "from launcher.child import Child, Command\n"
        "argv = (sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(99)')\n"
        "ready = threading.Event()\n"
        f"command = Command(argv, os.environ, death_signal=signal.Signals({int(number)}))\n"
        "child = Child(command, lambda line: ready.set())\n"
        "ready.wait()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(99)\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        assert is_running(child)
        launcher.kill()

    assert gone(child)


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [
        (3, "vLLM exited with code 3; see its log above."),
        (-signal.SIGSEGV, "vLLM was killed by SIGSEGV."),
        (-signal.SIGKILL, "vLLM was killed (SIGKILL), which is what the kernel does when memory runs out."),
    ],
)
def test_an_exit_without_a_log_line_is_described(exit_code: int, expected: str) -> None:
    assert describe_exit("vLLM", exit_code) == expected

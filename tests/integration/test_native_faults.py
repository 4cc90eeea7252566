"""The native stack under external faults: a full disk, a killed supervisor, read-only secrets."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.native import NativeStack
from tests.support.program import ROOT, until

from glasshouse.settings import load

pytestmark = [pytest.mark.xdist_group("native"), pytest.mark.timeout(240)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[NativeStack]:
    """A small stack, not yet started: only the gateway and llama.cpp."""
    stack = NativeStack.create(tmp_path, NGINX="off", PROMETHEUS="off")
    yield stack
    stack.make("down")
    assert stack.leftovers() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB for RUN_DIR."""
    run = tmp_path / "run"
    run.mkdir()
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", run), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    yield run
    subprocess.run(("umount", "-l", run), check=True)


def fill(directory: Path) -> Path:
    """Fills a file system completely; returns the file that takes the space."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


def supervisor(stack: NativeStack) -> int:
    pid: int = json.loads((stack.directory / "run" / "state.json").read_text())["pid"]
    return pid


def test_a_full_run_directory_loses_log_lines_and_nothing_else(small_disk: Path, stack: NativeStack) -> None:
    assert stack.make("up").returncode == 0
    key = (stack.directory / "secrets" / "api-key").read_text()
    ballast = fill(small_disk)
    for _ in range(200):  # each writes a line to the gateway's log
        assert stack.status_for(key) == 200
    before = stack.pid_of("gateway")
    os.kill(before, signal.SIGKILL)
    until(lambda: stack.pid_of("gateway") not in (0, before), 30, "the gateway is started again", pause=0.2)
    until(lambda: stack.status_for(key) == 200, 30, "it answers", pause=0.2)
    assert "is full: logs and metrics are lost." in stack.make("ps").stderr
    os.kill(supervisor(stack), 0)

    ballast.unlink()
    assert stack.status_for(key) == 200
    log = small_disk / "logs" / "gateway.log"
    until(lambda: "\n(here " in log.read_text(), 10, "the number of lost lines is in the log")
    size = log.stat().st_size
    assert stack.status_for(key) == 200
    until(lambda: log.stat().st_size > size, 10, "it logs again")
    assert log.read_text().count("lines were lost") == 1
    assert stack.make("ps").stderr == ""


def test_after_a_killed_supervisor_ps_shows_what_still_runs(stack: NativeStack) -> None:
    assert stack.make("up").returncode == 0
    key = (stack.directory / "secrets" / "api-key").read_text()
    os.kill(supervisor(stack), signal.SIGKILL)
    until(lambda: "has been killed" in stack.make("ps").stdout, 10, "it is gone", pause=0.2)
    shown = stack.make("ps").stdout
    pids = {int(pid) for pid in re.findall(r"^(\d+) +\S", shown, re.MULTILINE)}
    assert pids
    for pid in pids:
        os.kill(pid, 0)
    assert "gunicorn" in shown
    assert "llamacpp_server" in shown
    assert "make down" in shown
    assert stack.status_for(key) == 200
    assert stack.make("smoke").returncode == 0
    assert "no process is left" in stack.make("down").stdout
    assert "not running" in stack.make("ps").stdout


def test_a_supervisor_that_does_not_respond_is_not_reported_as_stopped(stack: NativeStack) -> None:
    assert stack.make("up").returncode == 0
    load(stack.directory, {"RUN_DIR": stack.variables["RUN_DIR"]}).socket.unlink()
    shown = stack.make("ps").stdout
    assert "supervisord does not answer" in shown
    assert "gunicorn" in shown


def test_read_only_secrets_suffice(tmp_path: Path, stack: NativeStack) -> None:
    assert stack.shell(f"{ROOT}/.venv/bin/glasshouse init").returncode == 0
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(("mount", "--bind", tmp_path / "secrets", mounted), check=False).returncode:
        pytest.skip("this user may not mount")
    try:
        subprocess.run(("mount", "-o", "remount,bind,ro", mounted), check=True)
        done = stack.make("up", SECRETS_DIR=str(mounted))
        assert done.returncode == 0, done.stderr
        key = (mounted / "api-key").read_text()
        assert stack.status_for(key) == 200
        stack.make("down", SECRETS_DIR=str(mounted))
        (tmp_path / "secrets" / "engine" / "engine-key").unlink()
        refused = stack.make("up", SECRETS_DIR=str(mounted))
        assert refused.returncode != 0
        assert f"{mounted}/engine/engine-key is missing and cannot be created" in refused.stderr
    finally:
        subprocess.run(("umount", "-l", mounted), check=True)


@pytest.mark.parametrize("words", ["up", "down", "ps", "key NAME=alice", "key"])
def test_ctrl_c_in_the_first_second_prints_no_stack_trace(stack: NativeStack, words: str) -> None:
    """The signal goes to the whole process group, as from a terminal: to make, its shell, and the command."""
    for pause in (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9):
        with subprocess.Popen(
            ["make", *words.split()], cwd=ROOT, env=stack.variables, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as command:  # fmt: skip
            time.sleep(pause)
            os.killpg(command.pid, signal.SIGINT)
            output = command.communicate(timeout=60)[0]
        assert "Traceback" not in output, (pause, output)
        assert "KeyboardInterrupt" not in output, (pause, output)


def test_the_engine_key_is_rotated_between_two_requests(stack: NativeStack) -> None:
    assert stack.make("up").returncode == 0
    file = stack.directory / "secrets" / "engine" / "engine-key"
    old = file.read_text()
    done = stack.make("rotate-engine-key")
    assert done.returncode == 0, done.stderr
    assert file.read_text() != old
    assert stack.make("smoke").returncode == 0
    again = stack.make("rotate-engine-key")
    assert again.returncode != 0
    assert "llamacpp started before the next engine key was created" in again.stderr
    # The engine accepts both keys: a gateway is refused neither with the old one nor with the new one.
    for key in (old, file.read_text()):
        assert stack.status_for(key, f"http://127.0.0.1:{stack.variables['LLAMACPP_PORT']}") == 200

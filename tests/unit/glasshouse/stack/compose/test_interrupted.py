"""`make up` in Docker, ended in the middle: what it started is stopped, whatever was under way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

_PATIENCE_S = 20


# Makes the terminal on its standard input its own, then becomes the command.
_ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)

Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(docker: FakeDocker) -> Begin:
    """Starts the real command in the small checkout, with the fake docker; nothing answers at the front door."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(str(probe.getsockname()[1]))
    docker.plan(after_up=[docker.container(name) for name in ("nginx", "api", "llamacpp")])
    command = [sys.executable, "-m", "glasshouse", "up"]

    def begin(terminal: int | None = None) -> "subprocess.Popen[str]":
        output = subprocess.PIPE if terminal is None else terminal
        return subprocess.Popen(
            command if terminal is None else [sys.executable, "-c", _ON_A_TERMINAL, *command],
            cwd=docker.root,
            env={"PATH": docker.path, "SHAPE": "cpu", "HTTP_PORT": ports[0], "HTTPS_PORT": ports[1]},
            stdin=terminal,
            stdout=output,
            stderr=output if terminal is not None else subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return begin


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_it_waits(docker: FakeDocker, begin: Begin, number: signal.Signals) -> None:
    with begin() as up:
        assert up.stdout is not None
        until(lambda: "waiting for" in (up.stdout.readline() if up.stdout else ""))
        up.send_signal(number)
        message = up.communicate(timeout=_PATIENCE_S)[0]
    assert up.returncode == 130
    assert "Stopped; nothing of it runs." in message
    assert docker.asked_of_compose[-1] == "--profile * stop"


@pytest.mark.parametrize(
    ("verb", "message", "last"),
    [
        ("build", "Nothing had been started.", "build"),
        ("up", "Nothing was left running.", "up --detach --no-build"),
    ],
)
def test_while_compose_works(docker: FakeDocker, begin: Begin, verb: str, message: str, last: str) -> None:
    docker.plan(hangs=verb)
    mark = Path(docker.path) / "hanging"
    with begin() as up:
        until(mark.exists)
        os.killpg(up.pid, signal.SIGINT)  # as a terminal does: to Compose too
        assert message in up.communicate(timeout=_PATIENCE_S)[0]
    assert up.returncode == 130
    assert docker.asked_of_compose[-1] == last


def test_with_its_terminal_closed(docker: FakeDocker, begin: Begin) -> None:
    ours, theirs = os.openpty()
    with begin(theirs) as up:
        os.close(theirs)
        message = b""
        while b"waiting for" not in message:
            message += os.read(ours, 4096)
        os.close(ours)
        assert up.wait(_PATIENCE_S) == 130
    assert docker.asked_of_compose[-1] == "--profile * stop"


def test_a_second_time_kills(docker: FakeDocker, begin: Begin) -> None:
    docker.plan(hangs="stop")
    mark = Path(docker.path) / "hanging"
    with begin() as up:
        until(lambda: "waiting for" in (up.stdout.readline() if up.stdout else ""))
        up.send_signal(signal.SIGINT)
        until(mark.exists)
        os.killpg(up.pid, signal.SIGINT)
        up.communicate(timeout=_PATIENCE_S)
    assert up.returncode == 130
    assert docker.asked_of_compose[-2:] == ["--profile * stop", "--profile * kill"]

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
from tests.unit.glasshouse.conftest import FakeDocker

_PATIENCE_S = 20


@pytest.fixture
def begin(docker: FakeDocker) -> Callable[[], "subprocess.Popen[str]"]:
    """Starts the real command in the small checkout, with the fake docker; nothing answers at the front door."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(str(probe.getsockname()[1]))
    docker.plan(after_up=[docker.container(name) for name in ("nginx", "api", "llamacpp")])
    return lambda: subprocess.Popen(
        [sys.executable, "-m", "glasshouse", "up"],
        cwd=docker.root,
        env={"PATH": docker.path, "HTTP_PORT": ports[0], "HTTPS_PORT": ports[1]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_it_waits(
    docker: FakeDocker, begin: Callable[[], "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    with begin() as up:
        assert up.stdout is not None
        until(lambda: "waiting for" in (up.stdout.readline() if up.stdout else ""))
        up.send_signal(number)
        said = up.communicate(timeout=_PATIENCE_S)[0]
    assert up.returncode == 130
    assert "Stopped; nothing of it runs." in said
    assert docker.asked_of_compose[-1] == "--profile * stop"


@pytest.mark.parametrize(
    ("verb", "said", "last"),
    [
        ("build", "Nothing had been started.", "build"),
        ("up", "Nothing was left running.", "up --detach --no-build"),
    ],
)
def test_while_compose_works(
    docker: FakeDocker, begin: Callable[[], "subprocess.Popen[str]"], verb: str, said: str, last: str
) -> None:
    docker.plan(hangs=verb)
    mark = Path(docker.path) / "hanging"
    with begin() as up:
        until(mark.exists)
        os.killpg(up.pid, signal.SIGINT)  # as a terminal does: to Compose too
        assert said in up.communicate(timeout=_PATIENCE_S)[0]
    assert up.returncode == 130
    assert docker.asked_of_compose[-1] == last

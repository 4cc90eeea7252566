"""`make up` with containers that Docker has restarted before, in real Docker, with two small containers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stack.conftest import free_port
from tests.support.compose.stack import ROOT, docker, until

from glasshouse.settings import load
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.compose.readiness import RestartCounts

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

_LOOKS_S = 3.0  # how long a start waits before it looks at its containers
_FRONT = """
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path("/front/ready").exists() else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("", 80), Handler).serve_forever()
"""
_COMPOSE = """
x-one: &one {{ image: "glasshouse-test/python:3.11", restart: unless-stopped, stop_grace_period: 1s }}
services:
  nginx:
    <<: *one
    command: [python, /front/front.py]
    ports: ["{port}:80"]
    volumes: ["./front:/front"]
  api:
    <<: *one
    command: [sleep, infinity]
"""


class Checkout:
    """A directory that the command takes for a checkout, with a stack of two containers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = f"glasshouse-restarts-{os.getpid()}"
        port, other = free_port(), free_port()
        (root / "services").mkdir()
        (root / "supervisord.conf").touch()
        (root / "front").mkdir()
        (root / "front/front.py").write_text(_FRONT)
        (root / "small.yaml").write_text(_COMPOSE.format(port=port))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        self.environment = {
            **kept,
            "COMPOSE_FILE": "small.yaml:",
            "COMPOSE_PROJECT_NAME": self.name,
            "SHAPE": "cpu",
            "START_TIMEOUT": "60",
            "HTTP_PORT": str(port),
            "HTTPS_PORT": str(other),
        }

    def command(self, name: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "glasshouse", name],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def api(self) -> Container:
        containers = Docker(load(self.root, self.environment)).containers()
        return next(container for container in containers if container.service == "api")

    def kill_api(self) -> None:
        """SIGKILL from outside, and the restart that follows."""
        before = self.api()
        pid = docker("inspect", "--format", "{{.State.Pid}}", before.id).strip()
        os.kill(int(pid), 9)
        until(lambda: self.api().restarts > before.restarts and self.api().state == "running", 30, "Docker restarts it")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=250)
    checkout = Checkout(tmp_path)
    yield checkout
    with checkout.command("down") as down:
        output: Any = down.communicate(timeout=60)[0]
    assert down.returncode == 0, output


def test_a_stack_whose_containers_were_restarted_before_starts_again(checkout: Checkout) -> None:
    ready = checkout.root / "front/ready"
    ready.touch()
    with checkout.command("up") as first:
        output = first.communicate(timeout=120)[0]
    assert first.returncode == 0, output
    checkout.kill_api()
    checkout.kill_api()
    assert checkout.api().restarts == 2

    ready.unlink()  # so that the second start has to wait, and looks at its containers meanwhile
    with checkout.command("up") as second:
        time.sleep(_LOOKS_S + 3)
        assert second.poll() is None
        ready.touch()
        output = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output
    assert "Glasshouse is up" in output
    assert output.endswith("\nShape: Docker without a GPU (as it was running already).\n")

    # A container that was stopped and is started counts from zero in Docker, and so in a start.
    restarts = RestartCounts.before([checkout.api()])
    docker("stop", "--time", "1", checkout.api().id)
    docker("start", checkout.api().id)
    checkout.kill_api()
    assert checkout.api().restarts == 1
    assert [restarts.since(checkout.api()) for _ in range(2)] == [1, 1]

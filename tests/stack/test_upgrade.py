"""Upgrades in real Docker: to a version that serves, and to one whose gateway does not start."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stack.conftest import free_port
from tests.support.compose.clone import Clone
from tests.support.compose.command import make
from tests.support.compose.load import CHAT, chat
from tests.support.compose.stack import Stack, docker

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(1200)]

LABEL = "org.example.version"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


@pytest.fixture
def stack(clone: Clone, tmp_path: Path) -> Iterator[Stack]:
    """The clone's first version, started by its own `make up`."""
    tag = f"upgrade-{os.getpid()}"
    stack = Stack(f"glasshouse-{tag}", tmp_path / "stack", free_port(), free_port())
    stack.directory.mkdir()
    stack.settings["GLASSHOUSE_VERSION"] = tag
    try:
        done = make(stack, "up", root=clone.root)
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack
    finally:
        stack.down()
        for reference in images(stack):
            docker("image", "rm", reference)


def images(stack: Stack) -> list[str]:
    """The images that were built for this stack, by name, or by number where they have lost it."""
    words = ("image", "ls", "--filter", f"label=com.docker.compose.project={stack.name}")
    rows = docker(*words, "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split("\n")
    return [row.split()[1 if "<none>" in row else 0] for row in rows if row]


def image(stack: Stack, service: str) -> str:
    (row,) = [row for row in stack.containers() if row["Service"] == service]
    return str(row["Inspected"]["Image"])


def label(stack: Stack) -> str | None:
    (row,) = [row for row in stack.containers() if row["Service"] == "api"]
    found: str | None = row["Inspected"]["Config"]["Labels"].get(LABEL)
    return found


def test_an_upgrade_serves_and_a_failed_one_is_rolled_back(
    clone: Clone, stack: Stack, measured: Callable[[str], None]
) -> None:
    dockerfile = "services/api/Dockerfile"
    clone.version("v0.2.0", (dockerfile, "CMD [", f"LABEL {LABEL}=0.2.0\nCMD ["))
    longer = (
        "compose.cpu.yaml",
        "retention.time=${PROMETHEUS_RETENTION:-15d}",
        "retention.time=${PROMETHEUS_RETENTION:-16d}",
    )
    broken = (
        "services/api/src/gateway/app.py",
        "\ndef create_app(",
        "\nraise RuntimeError('broken on purpose')\n\n\ndef create_app(",
    )
    clone.version("v0.3.0", longer, broken)
    clone.git("switch", "--quiet", "--detach", "v0.1.0")
    engine, key = stack.container("llamacpp"), stack.key
    first = image(stack, "api")

    began = time.monotonic()
    done = make(stack, "upgrade", "VERSION=v0.2.0", root=clone.root, timeout=600)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Upgraded from v0.1.0 to v0.2.0" in done.stdout
    assert label(stack) == "0.2.0"
    assert clone.git("describe", "--tags") == "v0.2.0"
    assert stack.container("llamacpp") == engine, "what is the same goes on"
    previous = f"glasshouse/api:{stack.name}-previous"
    assert docker("image", "inspect", "--format", "{{.Id}}", previous).strip() == first
    second, scraped = image(stack, "api"), stack.value("max(timestamp(up))")

    began = time.monotonic()
    done = make(stack, "upgrade", root=clone.root, timeout=600)
    took_back = time.monotonic() - began
    assert done.returncode != 0
    assert "v0.2.0 is back, and serves" in done.stderr
    assert "volumes/prometheus-data" in done.stderr
    assert clone.git("describe", "--tags") == "v0.2.0"
    assert image(stack, "api") == second
    assert label(stack) == "0.2.0"
    assert stack.key == key
    with stack.client() as client:
        assert client.post(CHAT, json=chat(max_tokens=4)).status_code == 200
    assert stack.query(f"up @ {scraped:.3f}"), "the samples from before are there"
    assert stack.container("llamacpp") == engine
    assert f"glasshouse/api:{stack.name}-before" not in images(stack)
    backups = sorted((clone.root / "backups").iterdir())
    assert len(backups) == 2
    assert not clone.git("status", "--porcelain"), "git does not see them"
    measured(f"upgrade {took:.0f} s; broken upgrade and the way back {took_back:.0f} s")

"""One composed stack for all tests of this folder, started from scratch, and removed at the end."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.compose.stack import ROOT, Stack, dead_proxy


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, measured: Callable[[str], None]) -> Iterator[Stack]:
    """The CPU stack, healthy, on a machine whose Docker sets a dead proxy for every container."""
    stack = Stack(f"glasshouse-test-{os.getpid()}", tmp_path_factory.mktemp("stack"), free_port(), free_port())
    try:
        # The images that replace the official ones: built once, in minutes.
        subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=900)
        began = time.monotonic()
        stack.compose("build", "--quiet", timeout=900)
        built = time.monotonic()
        stack.docker_config = dead_proxy(stack.directory / "docker")  # not before: a build fetches packages
        stack.up()
        ready = time.monotonic()
        measured(f"images built in {built - began:.1f} s; healthy {ready - built:.1f} s after `docker compose up`")
        yield stack
    finally:
        stack.down()


def free_port() -> int:
    """A TCP port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port

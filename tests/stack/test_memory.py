"""Memory limits: of all containers together, and of the files that each keeps in memory."""

import os
import re
import subprocess
from typing import Any

import pytest
from tests.stack.test_compose_files import CPU, GPU, config
from tests.support.compose.stack import ROOT

pytestmark = pytest.mark.docker

GIB = 1 << 30
MACHINE = 16 * GIB  # the smallest with an L4: g2-standard-4
FOR_THE_SYSTEM = 2 * GIB  # the kernel, the page cache, Docker itself
SHM = 64 << 20  # Docker's default for /dev/shm
OTHER_ENGINES = {"gpu", "llamacpp"}  # profiles that add an engine to the shape's own


def profiles(files: tuple[str, ...]) -> set[str]:
    """All profiles of the files."""
    arguments = [part for file in files for part in ("-f", file)]
    listed = subprocess.run(
        ["docker", "compose", "--env-file", os.devnull, *arguments, "config", "--profiles"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(listed.stdout.split())


def long_running(services: dict[str, Any]) -> dict[str, Any]:
    """Without the services that end before the others start, and release their memory."""
    return {name: service for name, service in services.items() if service.get("restart") != "no"}


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_all_limits_together_leave_room_on_a_machine_with_16_gb(files: tuple[str, ...]) -> None:
    chosen = profiles(files) - OTHER_ENGINES
    assert chosen >= {"store", "acme"}
    limits = {
        name: int(service["mem_limit"])
        for name, service in long_running(config(files, profiles=",".join(chosen))["services"]).items()
    }
    assert sum(limits.values()) <= MACHINE - FOR_THE_SYSTEM, limits


def test_a_second_engine_adds_its_own_memory_and_no_more() -> None:
    chosen = ",".join(profiles(GPU))
    services = long_running(config(GPU, profiles=chosen)["services"])
    limits = {name: int(service["mem_limit"]) for name, service in services.items()}
    assert "vllm" in limits
    assert sum(limits.values()) - limits["llamacpp"] <= MACHINE - FOR_THE_SYSTEM, limits


def test_no_container_can_fill_its_memory_with_temporary_files() -> None:
    """A full /tmp is an error that is logged; without a size of its own it would be the end of the container."""
    for name, service in config(GPU, profiles=",".join(profiles(GPU)))["services"].items():
        (tmp,) = service["tmpfs"]
        size = re.fullmatch(r"/tmp:(?:exec,)?size=(\d+)([mg])", tmp)  # noqa: S108 -- a container's own
        assert size is not None, (name, tmp)
        files = int(size[1]) << {"m": 20, "g": 30}[size[2]]
        assert files + int(service.get("shm_size", SHM)) < int(service["mem_limit"]), name

"""The stub of NVML, built once, and exporters over it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.gpu_exporter.exporter import Exporter, Machine, build_stub

Start = Callable[..., Exporter]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the stub."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, which builds the stub of NVML (Debian: gcc libc6-dev)")
    directory = tmp_path_factory.mktemp("nvml")
    build_stub(directory)
    return directory


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that looks like one with an L4."""
    return Machine(tmp_path, "l4")


@pytest.fixture
def start(tmp_path: Path, library: Path) -> Iterator[Start]:
    """Starts exporters over the stub: `start(machine, TIMEOUT="0.5")`; they end with the test."""
    running: list[Exporter] = []

    def start(machine: Machine | None, **settings: str) -> Exporter:
        exporter = Exporter(tmp_path, None if machine is None else library, machine, settings)
        running.append(exporter)
        exporter.ready(exporter.answers, 20)
        return exporter

    yield start
    for exporter in running:
        exporter.stop()

"""One native stack for these tests, and a real Grafana over it; what was seen goes into a page of docs/."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.gpu_exporter.exporter import build_stub
from tests.support.grafana import page
from tests.support.grafana.browser import Browser
from tests.support.grafana.home import Home, find
from tests.support.grafana.receiver import Receiver
from tests.support.grafana.server import Grafana, provisioning
from tests.support.grafana.stack import NEEDED, Stack

_RESULTS = pytest.StashKey[page.Results]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = page.Results()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    results = config.stash[_RESULTS]
    if not results.version:
        return
    terminalreporter.section(f"seen in Grafana {results.version}")
    for line in results.lines():
        terminalreporter.write_line(line)
    if exitstatus == pytest.ExitCode.OK and results.whole:
        terminalreporter.write_line(f"written: {page.write(results)}")


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> page.Results:
    """Takes what was seen."""
    return request.config.stash[_RESULTS]


@pytest.fixture(scope="session")
def home() -> Home:
    """The Grafana that GRAFANA_HOME names."""
    return find()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, home: Home) -> Iterator[Stack]:
    """Every part of the stack, under load; only Grafana is not there yet."""
    assert home, "found before anything is started"
    if missing := [package for program, package in NEEDED.items() if shutil.which(program) is None]:
        pytest.fail(f"Not installed; in Debian: apt-get install {' '.join(missing)}")
    library = tmp_path_factory.mktemp("nvml")
    build_stub(library)
    with contextlib.ExitStack() as exits:
        stack = Stack(tmp_path_factory.mktemp("stack"), exits, library)
        stack.prometheus.wait(without={"grafana"})
        yield stack


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Who is told of alerts."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def grafana(
    stack: Stack, home: Home, receiver: Receiver, results: page.Results, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grafana]:
    """Grafana with the provisioned files as they are shipped."""
    directory = tmp_path_factory.mktemp("grafana")
    provisioning(directory, receiver.url)
    with running(home, directory, stack.grafana_port, stack.prometheus.url) as grafana:
        stack.prometheus.wait()
        results.version = home.version
        results.programs = {"Prometheus": stack.prometheus.version(), "engines": " and ".join(stack.engine_names())}
        yield grafana


@contextlib.contextmanager
def running(home: Home, directory: Path, port: int, prometheus_url: str) -> Iterator[Grafana]:
    """A Grafana with what lies in `directory`, up."""
    grafana = Grafana(home, directory, port, prometheus_url)
    try:
        grafana.wait()
        yield grafana
    finally:
        grafana.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()

"""A native stack for these tests and a real Grafana on top; the results are written to docs/grafana-results.md."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.gpu_exporter.exporter import build_stub
from tests.support.grafana import results as run_results
from tests.support.grafana.browser import Browser
from tests.support.grafana.installation import Installation, find
from tests.support.grafana.server import Grafana, provisioning
from tests.support.grafana.stack import NEEDED, Stack
from tests.support.grafana.webhook import WebhookReceiver

_RESULTS = pytest.StashKey[run_results.Results]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = run_results.Results()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that inject faults last: the load stops for them, and the others need it and a healthy stack."""
    items.sort(key=lambda item: "faults" in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    results = config.stash[_RESULTS]
    if not results.version:
        return
    terminalreporter.section(f"results with Grafana {results.version}")
    for line in results.lines():
        terminalreporter.write_line(line)
    if exitstatus == pytest.ExitCode.OK and results.complete:
        terminalreporter.write_line(f"written: {run_results.write(results)}")


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> run_results.Results:
    """Collects the results of this run."""
    return request.config.stash[_RESULTS]


@pytest.fixture(scope="session")
def installation() -> Installation:
    """The Grafana that GRAFANA_HOME names."""
    return find()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, installation: Installation) -> Iterator[Stack]:
    """Every part of the stack but Grafana, under load."""
    assert installation, "found before anything is started"
    if missing := [package for program, package in NEEDED.items() if shutil.which(program) is None]:
        pytest.fail(f"Not installed; in Debian: apt-get install {' '.join(missing)}")
    library = tmp_path_factory.mktemp("nvml")
    build_stub(library)
    with contextlib.ExitStack() as exits:
        stack = Stack(tmp_path_factory.mktemp("stack"), exits, library)
        stack.prometheus.wait(without={"grafana"})
        yield stack


@pytest.fixture(scope="session")
def receiver() -> Iterator[WebhookReceiver]:
    """The webhook that Grafana notifies."""
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def grafana(
    stack: Stack,
    installation: Installation,
    receiver: WebhookReceiver,
    results: run_results.Results,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Grafana]:
    """Grafana with the provisioning files as shipped."""
    directory = tmp_path_factory.mktemp("grafana")
    provisioning(directory, receiver.url)
    with running(installation, directory, stack.grafana_port, stack.prometheus.url) as grafana:
        stack.prometheus.wait()
        results.version = installation.version
        results.programs = {"Prometheus": stack.prometheus.version(), "engines": " and ".join(stack.engine_names())}
        yield grafana


@contextlib.contextmanager
def running(installation: Installation, directory: Path, port: int, prometheus_url: str) -> Iterator[Grafana]:
    """A running Grafana with the provisioning in `directory`."""
    grafana = Grafana(installation, directory, port, prometheus_url)
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

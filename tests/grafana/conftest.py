"""A native stack for these tests and a real Grafana on top; the results are written to docs/grafana-results.md."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.integration.gpu_exporter.exporter import build_stub
from tests.support.grafana import results as run_results
from tests.support.grafana.browser import Browser
from tests.support.grafana.installation import Installation, find
from tests.support.grafana.server import Grafana, provisioning
from tests.support.grafana.stack import NEEDED, Stack
from tests.support.grafana.webhook import WebhookReceiver
from tests.support.program import ROOT, free_port
from tests.support.truth import run, table, traffic
from tests.support.truth.by_grafana import ByGrafana
from tests.support.truth.comparison import Row
from tests.support.truth.history_prometheus import COARSE_S, SCRAPE_S, History, HistoryPrometheus
from tests.support.truth.measures import Truth

_SOURCES = "grafana/provisioning/datasources/prometheus.yaml"

_RESULTS = pytest.StashKey[run_results.Results]()
_TRUTH = pytest.StashKey[list[Row]]()
# Of what tests/grafana/test_truth.py asks: the week, and what its first minutes need.
_HISTORY = History(days=7.05)
_UNUSED = "http://127.0.0.1:9/"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = run_results.Results()
    config.stash[_TRUTH] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that inject faults last: the load stops for them, and the others need it and a healthy stack."""
    items.sort(key=lambda item: "faults" in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    rows = config.stash[_TRUTH]
    if exitstatus == pytest.ExitCode.OK and {row.range for row in rows} == set(traffic.RANGES):
        page = table.write(rows, find().version, run.left_out())
        terminalreporter.write_line(f"{len(rows)} queries compared with the truth; written: {page}")
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


@pytest.fixture(scope="session")
def truth_rows(request: pytest.FixtureRequest) -> list[Row]:
    """Collects the comparisons of this run with the truth."""
    return request.config.stash[_TRUTH]


@pytest.fixture(scope="session")
def truth() -> Truth:
    """What happened in the history."""
    return Truth(traffic.requests(_HISTORY.days), _HISTORY.times)


@pytest.fixture(scope="session")
def history_grafana(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByGrafana]:
    """Grafana with the shipped files on a history of known requests, without the stack.

    A week has a sample a minute, so that its data source has another scrape interval than the shipped one.
    """
    directory = tmp_path_factory.mktemp("history-grafana")
    shipped = yaml.safe_load((ROOT / _SOURCES).read_text("utf-8"))
    (source,) = shipped["datasources"]
    coarse = {**source, "name": "By the minute", "uid": "by-the-minute", "isDefault": False}
    coarse["jsonData"] = {**source["jsonData"], "timeInterval": f"{COARSE_S}s"}
    sources = yaml.safe_dump({**shipped, "datasources": [source, coarse]})
    provisioning(directory, _UNUSED, {_SOURCES.removeprefix("grafana/provisioning/"): sources})
    with (
        HistoryPrometheus(tmp_path_factory.mktemp("history"), _HISTORY) as prometheus,
        running(installation, directory, free_port(), prometheus.url) as grafana,
    ):
        yield ByGrafana(grafana, {SCRAPE_S: source["uid"], COARSE_S: coarse["uid"]})


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

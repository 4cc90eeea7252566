"""What a refresh of each dashboard over seven days costs Prometheus: the samples that it reads, and its CPU time.

A raw counter has 120,000 samples in a week, of which a graph shows two hundred points. What panels read over days is
recorded (`observability.downsampling`); a query that reads something else fails here.
"""

import re
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.refresh import stack_series
from tests.support.refresh.asked import Asked, asked, dashboard_json, days_read
from tests.support.refresh.prometheus_on_history import PrometheusOnHistory, running

from observability import dashboards, downsampling, settings

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.timeout(1800),
]

DAYS = 7
SECONDS = DAYS * stack_series.DAY
TITLES = tuple(dashboard.title for dashboard in dashboards.all_dashboards())
# The shortest time between two samples in the small history: enough to tell them from steps of 15 minutes.
COARSE_SECONDS, COARSE_KEYS = 300, 3
# As many as have series of their own by default.
KEYS = 60
# Of a series of long steps, twice where the windows of neighbouring points overlap: a third of a raw one's.
MOST_SAMPLES_OF_A_SERIES = 2.1 * SECONDS / downsampling.LONG_STEP_SECONDS
# Of a refresh, on the small history: about a twentieth more than they read.
MOST_SAMPLES = {"Overview": 250_000, "Gateway": 830_000, "Engine": 490_000, "GPU": 31_000, "Cost and keys": 180_000}
REFRESHES = 7
_SELECTOR = re.compile(r"[A-Za-z_:][\w:]*\{[^{}]*\}")


def _asked(title: str) -> list[Asked]:
    return asked(dashboard_json(title), SECONDS)


def _days_read() -> dict[str, int]:
    return days_read([request for title in TITLES for request in _asked(title)], DAYS)


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusOnHistory]:
    """A Prometheus with a small history: a sample each five minutes."""
    directory = tmp_path_factory.mktemp("coarse")
    stack_series.write(directory / "data", COARSE_SECONDS, COARSE_KEYS, _days_read(), block="486h")
    with running(directory, stack_series.END) as prometheus:
        yield prometheus


def _samples(prometheus: PrometheusOnHistory, request: Asked) -> int:
    answer = prometheus.ask(request, SECONDS, statistics=True)
    data = answer["data"]
    assert isinstance(data, dict)
    return int(data["stats"]["samples"]["totalQueryableSamples"])


@pytest.mark.parametrize("title", TITLES)
def test_no_query_reads_more_of_a_series_than_its_long_steps(coarse: PrometheusOnHistory, title: str) -> None:
    too_many = {}
    for request in _asked(title):
        if request.path.endswith("values"):
            continue
        series = sum(_series(coarse, selector) for selector in _SELECTOR.findall(request.expr))
        if (samples := _samples(coarse, request)) > MOST_SAMPLES_OF_A_SERIES * max(series, 1):
            too_many[request.what] = f"{samples} samples of {series} series: {request.expr}"
    assert not too_many


def _series(prometheus: PrometheusOnHistory, selector: str) -> int:
    request = Asked(selector, "/api/v1/query", f"count(last_over_time({selector}[{2 * DAYS}d]))")
    data = prometheus.ask(request, SECONDS)["data"]
    assert isinstance(data, dict)
    return sum(int(found["value"][1]) for found in data["result"])


@pytest.mark.parametrize("title", TITLES)
def test_a_refresh_reads_few_samples(coarse: PrometheusOnHistory, title: str, measured: Callable[[str], None]) -> None:
    requests = [request for request in _asked(title) if not request.path.endswith("values")]
    read = sorted(((_samples(coarse, request), request.what) for request in requests), reverse=True)
    total = sum(samples for samples, _ in read)
    measured(f"{title} over {DAYS} days: {len(requests)} queries read {total:,} samples")
    assert total <= MOST_SAMPLES[title], read[:5]


@pytest.mark.long
def test_the_cpu_time_of_a_refresh(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """A report: how much it is depends on the machine and on what else it does."""
    samples = stack_series.write(tmp_path / "data", settings.SCRAPE_INTERVAL_SECONDS, KEYS, _days_read())
    with running(tmp_path, stack_series.END) as prometheus:
        for title in TITLES:
            requests = _asked(title)
            spent = [_cpu_seconds(prometheus, requests) for _ in range(REFRESHES)][1:]
            nothing = [_cpu_seconds(prometheus, [_constant(each) for each in requests]) for _ in range(REFRESHES)][1:]
            load = Path("/proc/loadavg").read_text("utf-8").split()[0]
            measured(
                f"{title} over {DAYS} days: {len(requests)} requests cost {statistics.median(spent):.3f} s of CPU time "
                f"({min(spent):.3f} to {max(spent):.3f}), as many of a constant {statistics.median(nothing):.3f} s; "
                f"load {load}; {samples:,} samples"
            )
            assert spent


def _constant(request: Asked) -> Asked:
    return Asked(request.what, "/api/v1/query", "1")


def _cpu_seconds(prometheus: PrometheusOnHistory, requests: list[Asked]) -> float:
    before = prometheus.cpu_seconds()
    for request in requests:
        prometheus.ask(request, SECONDS)
    return prometheus.cpu_seconds() - before

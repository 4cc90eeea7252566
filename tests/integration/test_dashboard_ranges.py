"""Numbers of the selected time range against the truth, in a real Prometheus with a week of history.

A gateway whose requests are known to the request, in minutes; it is restarted twice, refuses many more requests than it
serves, and is idle around the ends of each range, since a request belongs to the step in which it was scraped.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.support import history
from tests.support.history import Series
from tests.support.program import HOST, Program, free_port, until

from observability import dashboards, downsampling, recording
from observability.queries.gateway import history as queries
from observability.recording import dashboards as recorded
from observability.recording import downsampled

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.timeout(900),
]

MINUTE, HOUR, DAY = 60, 3600, 86400
RANGES = {"5m": 5 * MINUTE, "6h": 6 * HOUR, "7d": 7 * DAY}
# The last sample, on a full hour; the panels are asked a minute later, when rules have recorded it.
END = int(time.time()) // HOUR * HOUR - 2 * HOUR
ASKED_AT = END + MINUTE
TIMES = range(END - 7 * DAY - 2 * HOUR, END + 1, MINUTE)
RESTARTS = (END - 3 * DAY - HOUR, END - 2 * HOUR)
IDLE = frozenset(
    edge + minute * MINUTE for edge in (ASKED_AT - length for length in RANGES.values()) for minute in (-2, -1, 0, 1)
)
# In each minute with traffic: how many requests of each outcome, and of how many streams the first token came when.
PER_MINUTE = {"ok": 57, "cancelled": 6, "engine_error": 1, "client_error": 400, "internal_error": 0}
STREAMS = {"0.5": 40, "1.0": 50, "2.5": 57, "+Inf": 57}
GATEWAY = 'job="gateway",instance="api:9091",vm="local"'


def _busy_minutes(after: int, until_time: int) -> int:
    """How many minutes in (after, until_time] had traffic."""
    return sum(after < at <= until_time and _is_busy(at) for at in TIMES)


def _is_busy(at: int) -> bool:
    return at > TIMES.start and at not in IDLE and at % (3 * MINUTE) != 0


def _counter(per_minute: int) -> Callable[[int], float]:
    """A counter that a restart sets to 0, as a running total over the times."""
    totals, running = {}, 7_000
    for at in TIMES:
        running = (0 if at in RESTARTS else running) + per_minute * _is_busy(at)
        totals[at] = running
    return totals.__getitem__


def _gateway() -> list[Series]:
    requests = [
        Series("gateway_requests_total", f'{GATEWAY},route="/v1/chat/completions",model="m",outcome="{outcome}"', value)
        for outcome, count in PER_MINUTE.items()
        for value in (_counter(count),)
    ]
    streams = [
        Series("gateway_time_to_first_token_seconds_bucket", f'{GATEWAY},model="m",le="{bound}"', _counter(count))
        for bound, count in STREAMS.items()
    ]
    return [Series("up", GATEWAY, lambda _: 1), *requests, *streams]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], float]]:
    """Evaluates an expression in the Prometheus with the history."""
    directory = tmp_path_factory.mktemp("prometheus")
    data = directory / "data"
    history.write(data, _gateway(), TIMES)
    of_counters, of_routes, long_steps = _rules()
    # What a rule reads must be there before: it does not see what was recorded together with it.
    for rules in (of_counters, of_routes, long_steps):
        with _running(directory) as url:
            history.record(data, url, {"groups": [rules]}, range(TIMES.start, ASKED_AT, MINUTE))
    with _running(directory) as url:
        yield lambda expression: _value(url, expression)


def _rules() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The recording rules that read the gateway's counters, those that read what these record, and long steps."""
    groups = {group["name"]: group for group in recording.rules()["groups"]}
    steps, long_steps = groups[recorded.group().name], groups[downsampled.group().name]
    of_counters = [rule for rule in steps["rules"] if 'job="gateway"' in rule["expr"]]
    of_routes = [rule for rule in steps["rules"] if "(route:" in rule["expr"]]
    names = tuple(f"({rule['record']}{{" for rule in (*of_counters, *of_routes))
    of_both = [rule for rule in long_steps["rules"] if any(name in rule["expr"] for name in names)]
    return {**steps, "rules": of_counters}, {**steps, "rules": of_routes}, {**long_steps, "rules": of_both}


def _running(directory: Path) -> "_Running":
    return _Running(directory)


class _Running:
    """A Prometheus on the history, which scrapes nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._address = directory, f"{HOST}:{free_port()}"

    def __enter__(self) -> str:
        config = self._directory / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "15s"}}), encoding="utf-8")
        command = (
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self._directory}/data",
            "--storage.tsdb.retention.time=10y", f"--web.listen-address={self._address}",
        )  # fmt: skip
        self._program = Program("prometheus", command, {}, self._directory)
        url = f"http://{self._address}"
        until(lambda: _is_ready(url), 120, "Prometheus is ready", pause=0.2)
        return url

    def __exit__(self, *_: object) -> None:
        self._program.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False, timeout=10).is_success
    except httpx.TransportError:
        return False


def _value(url: str, expression: str) -> float:
    parameters = {"query": expression, "time": str(ASKED_AT)}
    answer = httpx.get(f"{url}/api/v1/query", params=parameters, trust_env=False, timeout=60).raise_for_status()
    (series,) = answer.json()["data"]["result"]
    return float(series["value"][1])


def _panel(dashboard: str, title: str) -> str:
    """The expression of a tile."""
    (found,) = (each for each in dashboards.all_dashboards() if each.title == dashboard)
    (panel,) = (panel for panel in found.panels if panel.title == title)
    return panel.queries[0].expr


@pytest.mark.parametrize("window", RANGES)
def test_a_range_shows_what_happened_in_it(ask: Callable[[str], float], window: str) -> None:
    minutes = _busy_minutes(ASKED_AT - RANGES[window], ASKED_AT)
    assert minutes
    truth = {
        ("Gateway", "Requests (range)"): sum(PER_MINUTE.values()) * minutes,
        ("Gateway", "Error rate (range)"): 1 / 58,
        ("Overview", "Error rate (range)"): 1 / 58,
        ("Overview", "Availability (range)"): 57 / 58,
        # Refused requests are in no share.
        ("Gateway", "Cancelled (range)"): 6 / 64,
        ("Gateway", "TTFT within the objective (range)"): 50 / 57,
        # The 54.15th of 57 streams, between the 50th at 1 s and the 57th at 2.5 s.
        ("Overview", "TTFT p95 (range)"): 1 + 1.5 * (0.95 * 57 - 50) / 7,
    }
    for (dashboard, title), expected in truth.items():
        shown = ask(_filled(_panel(dashboard, title), window, "1m"))
        assert shown == pytest.approx(expected, rel=1e-6), f"{dashboard} / {title}, {window}"


def test_seven_days_of_long_steps_are_right_but_for_the_steps_at_both_ends(ask: Callable[[str], float]) -> None:
    """As Grafana asks, with an interval of half an hour between two points."""
    per_step = sum(PER_MINUTE.values()) * downsampling.LONG_STEP_SECONDS // MINUTE
    truth = sum(PER_MINUTE.values()) * _busy_minutes(ASKED_AT - RANGES["7d"], ASKED_AT)
    shown = ask(_filled(_panel("Gateway", "Requests (range)"), "7d", "30m"))
    assert abs(shown - truth) <= 2 * per_step
    assert shown % sum(PER_MINUTE.values()) == 0  # whole minutes, none of them estimated
    shares = {
        ("Overview", "Availability (range)"): 57 / 58,
        ("Gateway", "Cancelled (range)"): 6 / 64,
        ("Overview", "TTFT p95 (range)"): 1 + 1.5 * (0.95 * 57 - 50) / 7,
    }
    for (dashboard, title), expected in shares.items():
        shown = ask(_filled(_panel(dashboard, title), "7d", "30m"))
        assert shown == pytest.approx(expected, rel=1e-6), f"{dashboard} / {title}"


def _filled(expression: str, window: str, interval: str) -> str:
    """The expression with Grafana's variables."""
    variables = {"$__range": window, "$__interval": interval, "$ttft_objective": "1.0"}
    for variable, value in (variables | {f"${name}": ".*" for name in ("vm", "model", "engine")}).items():
        expression = expression.replace(variable, value)
    return expression


def test_increase_would_not_have_done(ask: Callable[[str], float], measured: Callable[[str], None]) -> None:
    """Why these panels read recorded series: `increase` extrapolates to the ends of a range."""
    truth = PER_MINUTE["ok"] * _busy_minutes(ASKED_AT - RANGES["5m"], ASKED_AT)
    counter = 'gateway_requests_total{job="gateway", outcome="ok"}'
    estimate = ask(f"sum(increase({counter}[5m]))")
    exact = ask(f'sum(sum_over_time({queries.REQUESTS}{{outcome="ok"}}[5m]))')
    measured(f"requests in 5 minutes: {truth} came, increase() says {estimate:.1f}, the recorded steps {exact:.0f}")
    assert exact == truth

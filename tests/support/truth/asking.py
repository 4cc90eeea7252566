"""A panel's query over a range, as Grafana sends it: through Grafana, or to Prometheus as Grafana would."""

from dataclasses import dataclass
from typing import Any, Protocol

from tests.support.grafana.panels import PanelQueries
from tests.support.truth import traffic
from tests.support.truth.history_prometheus import COARSE_S, SCRAPE_S, HistoryPrometheus

from observability.downsampling import LONG_STEP_SECONDS

Json = dict[str, Any]

# Grafana's steps: below the first number of milliseconds, the second.
_ROUNDED = (
    (7_500, 5_000), (12_500, 10_000), (17_500, 15_000), (25_000, 20_000), (45_000, 30_000), (90_000, 60_000),
    (210_000, 120_000), (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000),
    (2_700_000, 1_800_000), (5_400_000, 3_600_000), (9_000_000, 7_200_000),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A series of a result: its labels, and the value of each time in seconds."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Timing:
    """The times of a query, in seconds.

    Attributes:
        range: the selected time range.
        step: between two points.
        scrape: between two samples, at the range's density; the data source's `timeInterval`.
        points: at most.
    """

    range: int
    step: int
    scrape: int
    points: int

    @property
    def is_long(self) -> bool:
        """Whether recorded series of long steps are read."""
        return self.step >= LONG_STEP_SECONDS

    @property
    def rate_window(self) -> int:
        """Grafana's $__rate_interval."""
        return max(self.step + self.scrape, 4 * self.scrape)


class Source(Protocol):
    """Answers queries."""

    def ask(self, query: Json, timing: Timing) -> list[Answer]:
        """The series of a query."""


class ByPrometheus:
    """Asks Prometheus, with Grafana's variables filled in as Grafana does it."""

    def __init__(self, prometheus: HistoryPrometheus) -> None:
        self._prometheus = prometheus

    def ask(self, query: Json, timing: Timing) -> list[Answer]:
        expression = query["expr"]
        for name, value in (
            ("$__rate_interval", f"{timing.rate_window}s"), ("$__range", f"{timing.range}s"),
            ("$__interval", interval(timing.step)),
        ):  # fmt: skip
            expression = expression.replace(name, value)
        end = traffic.ASKED_AT
        if query.get("instant"):
            found = self._prometheus.get("/api/v1/query", {"query": expression, "time": str(end)})
            return [Answer(each["metric"], _points([each["value"]])) for each in found]
        times = {"start": end - timing.range, "end": end}
        aligned = {name: str(at // timing.step * timing.step) for name, at in times.items()}
        found = self._prometheus.get("/api/v1/query_range", {"query": expression, "step": str(timing.step), **aligned})
        return [Answer(each["metric"], _points(each["values"])) for each in found]


def timing(panel: PanelQueries, query: Json, range_name: str) -> Timing:
    """The times of a query, as a browser chooses them."""
    seconds = traffic.RANGES[range_name]
    scrape = COARSE_S if range_name == "7d" else SCRAPE_S
    shortest = _seconds(query.get("interval") or panel.interval) or scrape
    ms = seconds * 1000 / panel.points
    rounded = next(step for below, step in _ROUNDED if ms < below)
    return Timing(seconds, max(shortest, rounded // 1000), scrape, panel.points)


def interval(seconds: int) -> str:
    """A duration as Grafana writes it: in its largest unit."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def _seconds(interval: str) -> int:
    """A duration such as 30s or 1m; 0 for none."""
    return int(interval[:-1]) * {"s": 1, "m": 60}[interval[-1]] if interval else 0


def _points(values: list[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    return tuple((at, float(value)) for at, value in values if value not in ("NaN", "+Inf", "-Inf"))

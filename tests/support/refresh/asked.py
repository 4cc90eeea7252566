"""What a browser asks Prometheus for at each refresh of a dashboard, with Grafana's variables filled in."""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.grafana.panels import PanelQueries, dashboards, panel_queries

from observability import settings
from observability.downsampling import LABEL

Json = dict[str, Any]

# Grafana's `rangeutil.roundInterval`: up to the first number of seconds, the second.
_ROUNDED = (
    (1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300),
    (750, 600), (1050, 900), (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16200, 10800), (32400, 21600),
    (64800, 43200),
)  # fmt: skip
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
# Grafana draws annotations from at most so many points.
_MOST_POINTS = 11_000
# A metric, its matchers, and whether it is read over days, or of earlier days.
_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^{}]*)\}(\[\d+d\])?(?:\[\w+\])?(?: offset (\d+)d)?")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True)
class Asked:
    """A request to Prometheus.

    Attributes:
        what: the panel and its legend, the annotation or the variable.
        path: of Prometheus' API.
        expr: the expression, or the selector of a variable's values.
        step: between two points in seconds; 0 for a single one.
    """

    what: str
    path: str
    expr: str
    step: int = 0


def dashboard_json(title: str) -> Json:
    """The file of a dashboard."""
    (found,) = (dashboard for dashboard in dashboards() if dashboard["title"] == title)
    return found


def asked(dashboard: Json, seconds: int) -> list[Asked]:
    """What a browser asks over a range: all panels but those in collapsed rows, annotations, and variables.

    Grafana asks for panels when they are scrolled to: this is a screen that shows all of them.
    """
    panels = [panel for panel in panel_queries(dashboard) if not panel.collapsed]
    return [
        *(each for panel in panels for each in _of_panel(panel, seconds)),
        *_annotations(dashboard, seconds),
        *_variables(dashboard),
    ]


def days_read(requests: list[Asked], days: int) -> dict[str, int]:
    """How many days before now each metric is read that requests over so many days read over all of them.

    Left out is what the interval between two points excludes.
    """
    found: dict[str, int] = {}
    for request in requests:
        for name, matchers, window, offset in _SELECTOR.findall(request.expr):
            if (request.step or window) and f"{LABEL}!~" not in matchers:
                found[name] = max(found.get(name, 0), days + int(offset or 0))
    return found


def _of_panel(panel: PanelQueries, seconds: int) -> Iterator[Asked]:
    for query in panel.queries:
        shortest = max(settings.SCRAPE_INTERVAL_SECONDS, *map(_seconds, (panel.interval, query.get("interval", ""))))
        step = max(shortest, _rounded(seconds / panel.points))
        expr = _filled(query["expr"], seconds, step)
        what = f"{panel.title}: {query['legendFormat']}"
        if query["instant"]:
            yield Asked(what, "/api/v1/query", expr)
        else:
            yield Asked(what, "/api/v1/query_range", expr, step)


def _annotations(dashboard: Json, seconds: int) -> Iterator[Asked]:
    for annotation in dashboard["annotations"]["list"]:
        if annotation.get("expr"):
            step = max(_seconds(annotation["step"]), seconds // _MOST_POINTS + 1)
            expr = re.sub(r"\$\w+", ".*", annotation["expr"])
            yield Asked(f"annotation {annotation['name']}", "/api/v1/query_range", expr, step)


def _variables(dashboard: Json) -> Iterator[Asked]:
    """The values of the variables, which Grafana asks for whenever the time range has moved."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query" and (found := _LABEL_VALUES.fullmatch(variable["query"]["query"])):
            selector, label = found.groups()
            yield Asked(
                f"variable {variable['name']}", f"/api/v1/label/{label}/values", re.sub(r"\$\w+", ".*", selector)
            )


def _filled(expr: str, seconds: int, step: int) -> str:
    rate_interval = max(step + settings.SCRAPE_INTERVAL_SECONDS, 4 * settings.SCRAPE_INTERVAL_SECONDS)
    values = {"$__rate_interval": f"{rate_interval}s", "$__range_s": str(seconds), "$__range": _duration(seconds)}
    for name, value in (values | {"$__interval": _duration(step)}).items():
        expr = expr.replace(name, value)
    return expr


def _rounded(seconds: float) -> int:
    index = bisect.bisect_left(_ROUNDED, seconds, key=lambda pair: pair[0])
    return _ROUNDED[index][1] if index < len(_ROUNDED) else 86400


def _duration(seconds: int) -> str:
    """As Grafana writes it: in the largest unit."""
    return next(f"{seconds // unit}{name}" for unit, name in _UNITS if seconds >= unit)


def _seconds(duration: str) -> int:
    """Of a duration such as 30s or 1m; 0 for none."""
    return int(duration[:-1]) * next(unit for unit, name in _UNITS if name == duration[-1]) if duration else 0

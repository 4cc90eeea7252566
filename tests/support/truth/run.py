"""Every compared query of the dashboards at every range."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support.grafana.panels import PanelQueries, dashboards, panel_queries
from tests.support.truth import reasons
from tests.support.truth.asking import Source, timing
from tests.support.truth.comparison import Compared, Comparison, Row
from tests.support.truth.cost import COST
from tests.support.truth.gateway import GATEWAY
from tests.support.truth.measures import Truth
from tests.support.truth.overview import COURSE, OVERVIEW, Table

Json = dict[str, Any]

COMPARED: dict[str, Table] = {
    "glasshouse-overview": OVERVIEW, "glasshouse-gateway": GATEWAY, "glasshouse-cost": COST,
}  # fmt: skip


def panels() -> list[PanelQueries]:
    """Every panel with queries."""
    return [panel for dashboard in dashboards() for panel in panel_queries(dashboard) if panel.queries]


def name(panel: PanelQueries, query: Json) -> str:
    """Of a query: its legend, or COURSE behind a tile's number."""
    legend = str(query["legendFormat"])
    return COURSE if legend == panel.title and not query.get("instant") else legend


def compared(panel: PanelQueries, query: Json) -> Compared | None:
    """What a query of a panel should show; None where it is not compared."""
    return COMPARED.get(panel.dashboard, {}).get((panel.title, name(panel, query)))


def left_out() -> dict[str, str]:
    """Panels with queries that are not compared, with the reason."""
    found = {}
    for panel in panels():
        missing = [name(panel, query) for query in panel.queries if not compared(panel, query)]
        if missing:
            every = len(missing) == len(panel.queries)
            title = f"{panel.dashboard.removeprefix('glasshouse-')} / {panel.title}"
            found[title if every else f"{title}: {', '.join(missing)}"] = reasons.reason(panel)
    return found


def rows(source: Source, truth: Truth, ranges: list[str]) -> Iterator[Row]:
    """The table."""
    for range_name in ranges:
        for panel in panels():
            for query in panel.queries:
                if found := compared(panel, query):
                    yield _row(source, truth, panel, query, found, range_name)


def _row(source: Source, truth: Truth, panel: PanelQueries, query: Json, found: Compared, range_name: str) -> Row:
    times = timing(panel, query, range_name)
    found = _as_read(found, query["expr"])
    title, shown = f"{panel.dashboard.removeprefix('glasshouse-')} / {panel.title}", name(panel, query)
    title += f" / {shown}" if shown != panel.title else ""
    answers = source.ask(query, times)
    return Comparison(truth, found, times).row(title, range_name, answers, instant=bool(query.get("instant")))


def _as_read(compared: Compared, expression: str) -> Compared:
    """With how a graph reads it, as recorded steps or as counters around each point: the truth is the same."""
    if compared.window not in ("step", "rate"):
        return compared
    if "$__rate_interval" in expression:
        return replace(compared, window="rate", recorded=False)
    return replace(compared, window="step", recorded=True)

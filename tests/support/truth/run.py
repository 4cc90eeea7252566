"""Every compared query of the dashboards at every range."""

from collections.abc import Iterator

from tests.support.grafana.panels import PanelQueries, dashboards, panel_queries
from tests.support.truth import reasons
from tests.support.truth.asking import Source, timing
from tests.support.truth.comparison import Compared, Comparison, Row
from tests.support.truth.cost import COST
from tests.support.truth.gateway import GATEWAY
from tests.support.truth.measures import Truth
from tests.support.truth.overview import OVERVIEW, Table

COMPARED: dict[str, Table] = {
    "glasshouse-overview": OVERVIEW, "glasshouse-gateway": GATEWAY, "glasshouse-cost": COST,
}  # fmt: skip


def panels() -> list[PanelQueries]:
    """Every panel with queries."""
    return [panel for dashboard in dashboards() for panel in panel_queries(dashboard) if panel.queries]


def compared(panel: PanelQueries, legend: str) -> Compared | None:
    """What a query of a panel should show; None where it is not compared."""
    return COMPARED.get(panel.dashboard, {}).get((panel.title, legend))


def left_out() -> dict[str, str]:
    """Panels with queries that are not compared, with the reason."""
    found = {}
    for panel in panels():
        missing = [query["legendFormat"] for query in panel.queries if not compared(panel, query["legendFormat"])]
        if missing:
            every = len(missing) == len(panel.queries)
            name = f"{panel.dashboard.removeprefix('glasshouse-')} / {panel.title}"
            found[name if every else f"{name}: {', '.join(missing)}"] = reasons.reason(panel)
    return found


def rows(source: Source, truth: Truth, ranges: list[str]) -> Iterator[Row]:
    """The table."""
    for name in ranges:
        for panel in panels():
            for query in panel.queries:
                if found := compared(panel, query["legendFormat"]):
                    yield _row(source, truth, panel, query, found, name)


def _row(source: Source, truth: Truth, panel: PanelQueries, query: dict, found: Compared, name: str) -> Row:
    times = timing(panel, query, name)
    instant = bool(query.get("instant"))
    legend = query["legendFormat"]
    course = "" if instant or panel.title != legend else " (sparkline)"
    label = f"{panel.dashboard.removeprefix('glasshouse-')} / {panel.title}{course}"
    label += f" / {legend}" if legend != panel.title else ""
    return Comparison(truth, found, times).row(label, name, source.ask(query, times), instant=instant)

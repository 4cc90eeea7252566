"""Every compared query of the dashboards at every range."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support.grafana.panels import PanelQueries, dashboards, panel_queries
from tests.support.truth import reasons, traffic
from tests.support.truth.asking import Source, timing
from tests.support.truth.comparison import Compared, Comparison, Row
from tests.support.truth.cost import COST
from tests.support.truth.engine import ENGINE
from tests.support.truth.events import Truth
from tests.support.truth.gateway import GATEWAY
from tests.support.truth.gpu import GPU
from tests.support.truth.machines import MACHINES_ON_GATEWAY, MACHINES_ON_OVERVIEW
from tests.support.truth.overview import COURSE, OVERVIEW, Table

Json = dict[str, Any]

# The ranges that are compared, of all VMs or of the one that is chosen.
VIEWS = (*((range_name, "") for range_name in traffic.RANGES), ("6h", traffic.REMOTE))
# The name of a recorded series has two colons.
_RECORDED = re.compile(r"\w+:\w+:\w+")
COMPARED: dict[str, Table] = {
    "glasshouse-overview": OVERVIEW | MACHINES_ON_OVERVIEW, "glasshouse-gateway": GATEWAY | MACHINES_ON_GATEWAY,
    "glasshouse-cost": COST, "glasshouse-engine": ENGINE, "glasshouse-gpu": GPU,
}  # fmt: skip


def panels(vm: str = "") -> list[PanelQueries]:
    """Every panel with queries, of all VMs or of one that is chosen."""
    chosen = {"vm": vm} if vm else {}
    return [panel for dashboard in dashboards() for panel in panel_queries(dashboard, chosen) if panel.queries]


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


def rows(source: Source, truth: Truth, range_name: str, vm: str) -> Iterator[Row]:
    """The table of a view."""
    for panel in panels(vm):
        for query in panel.queries:
            if found := compared(panel, query):
                # Service levels and the reconciliation are always of all.
                chosen = truth.of(vm) if vm and f'"{vm}"' in query["expr"] else truth
                yield replace(_row(source, chosen, panel, query, found, range_name), vm=vm)


def _row(source: Source, truth: Truth, panel: PanelQueries, query: Json, found: Compared, range_name: str) -> Row:
    times = timing(panel, query, range_name)
    found = _as_read(found, query["expr"])
    title, shown = f"{panel.dashboard.removeprefix('glasshouse-')} / {panel.title}", name(panel, query)
    title += f" / {shown}" if shown != panel.title else ""
    answers = source.ask(query, times)
    return Comparison(truth, found, times).row(title, range_name, answers, instant=bool(query.get("instant")))


def _as_read(compared: Compared, expression: str) -> Compared:
    """With how a query reads it, as recorded steps or as counters around each point: the truth is the same."""
    recorded = bool(_RECORDED.search(expression))
    if compared.window == "range":
        return replace(compared, recorded=recorded)
    if "[$__rate_interval]" in expression:
        return replace(compared, window="rate", recorded=False)
    if "[$__interval]" in expression:
        return replace(compared, window="step", recorded=recorded)
    return compared

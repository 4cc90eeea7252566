"""The queries of the shipped dashboards as Grafana receives them, and why some panels have no data here."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.support.program import ROOT

from observability import dashboards as source

Json = dict[str, Any]

BY_UID: Json = {"datasource": {"type": "prometheus", "uid": "prometheus"}}
# The number of points for a panel half a screen wide.
_POINTS, _INTERVAL_MS = 700, 5_000


@dataclass(frozen=True)
class PanelQueries:
    """A panel of a dashboard's file, and its queries.

    Attributes:
        points: that Grafana asks for at most.
        interval: the shortest time between two points; empty for the data source's own.
    """

    dashboard: str
    title: str
    collapsed: bool
    queries: tuple[Json, ...]
    unit: str = ""
    points: int = 0
    interval: str = ""


def dashboards() -> list[Json]:
    """Every dashboard's file, of a stack that has every part."""
    return [
        json.loads(file.read_text("utf-8")) for file in sorted((ROOT / "grafana" / "dashboards" / "all").glob("*.json"))
    ]


def panel_queries(dashboard: Json) -> list[PanelQueries]:
    """A dashboard's panels with their queries, all variables at their defaults."""
    values = {variable["name"]: _value(variable) for variable in dashboard["templating"]["list"]}
    panels = []
    for panel, collapsed in _flat(dashboard["panels"]):
        queries = [_query(target, values) for target in panel.get("targets", ()) if not target.get("hide")]
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        timing = (unit, panel["maxDataPoints"], panel.get("interval", ""))
        panels.append(PanelQueries(dashboard["uid"], panel["title"], collapsed, tuple(queries), *timing))
    return panels


def has_data(answer: Json) -> bool:
    """Whether the result of a query contains a number; NaN does not count."""
    columns = (
        values
        for frame in answer.get("frames", ())
        for field, values in zip(frame["schema"].get("fields", ()), frame["data"]["values"], strict=True)
        if field["type"] == "number"
    )
    return any(value is not None for values in columns for value in values)


def needs(dashboard: str, title: str) -> str:
    """Why a panel may be empty on a healthy stack, from its source; empty for most."""
    (panel,) = (
        panel
        for known in source.all_dashboards()
        if known.uid == dashboard
        for panel in known.panels
        if panel.title == title
    )
    return panel.needs


def _flat(panels: list[Json]) -> list[tuple[Json, bool]]:
    """All panels, and whether they are in a collapsed row."""
    flat = []
    for panel in panels:
        if panel["type"] != "row":
            flat.append((panel, False))
        flat += [(inner, True) for inner in panel.get("panels", ())]
    return flat


def _value(variable: Json) -> str:
    """The value of a variable in a query."""
    chosen = variable.get("current", {}).get("value", "")
    if variable["type"] == "datasource":
        return "prometheus"
    if variable.get("includeAll") and chosen in ("$__all", ["$__all"]):
        assert variable.get("allValue"), (
            f"${variable['name']}: without an allValue only the browser knows the value of All"
        )
        return str(variable["allValue"])
    return "|".join(chosen) if isinstance(chosen, list) else str(chosen or variable.get("query", ""))


def _query(target: Json, values: dict[str, str]) -> Json:
    expr = target["expr"]
    for name, value in values.items():
        expr = re.sub(rf"\$\{{{name}(:\w+)?\}}|\${name}\b", value.replace("\\", r"\\"), expr)
    return {
        **target,
        "expr": expr,
        **BY_UID,
        "intervalMs": _INTERVAL_MS,
        "maxDataPoints": _POINTS,
    }

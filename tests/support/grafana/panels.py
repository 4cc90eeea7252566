"""The panels of the shipped dashboards: what each asks Grafana, and why some have nothing to show here."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.support.program import ROOT

from observability import dashboards as source

Json = dict[str, Any]

BY_UID: Json = {"datasource": {"type": "prometheus", "uid": "prometheus"}}
# As many points as a panel half a screen wide asks for.
_POINTS, _INTERVAL_MS = 700, 5_000


@dataclass(frozen=True)
class Shown:
    """A panel of a dashboard's file."""

    dashboard: str
    title: str
    folded: bool
    queries: tuple[Json, ...]


def dashboards() -> list[Json]:
    """Every file of grafana/dashboards."""
    return [json.loads(file.read_text("utf-8")) for file in sorted((ROOT / "grafana" / "dashboards").glob("*.json"))]


def shown(dashboard: Json) -> list[Shown]:
    """Its panels with the queries that Grafana gets, the variables filled in as when a reader has chosen nothing."""
    values = {variable["name"]: _value(variable) for variable in dashboard["templating"]["list"]}
    found = []
    for panel, folded in _flat(dashboard["panels"]):
        queries = [_query(target, values) for target in panel.get("targets", ()) if not target.get("hide")]
        found.append(Shown(dashboard["uid"], panel["title"], folded, tuple(queries)))
    return found


def has_data(answer: Json) -> bool:
    """Whether the answer to one query holds a number; NaN and nothing are none."""
    columns = (
        values
        for frame in answer.get("frames", ())
        for field, values in zip(frame["schema"].get("fields", ()), frame["data"]["values"], strict=True)
        if field["type"] == "number"
    )
    return any(value is not None for values in columns for value in values)


def needs(dashboard: str, title: str) -> str:
    """What a panel lacks on a stack that is well, by the word of its source; nothing for most."""
    (panel,) = (
        panel for known in source.every() if known.uid == dashboard for panel in known.panels if panel.title == title
    )
    return panel.needs


def _flat(panels: list[Json]) -> list[tuple[Json, bool]]:
    """All panels, those within folded rows too, and whether they are."""
    flat = []
    for panel in panels:
        if panel["type"] != "row":
            flat.append((panel, False))
        flat += [(inner, True) for inner in panel.get("panels", ())]
    return flat


def _value(variable: Json) -> str:
    """What stands in a query where the variable's name stood."""
    chosen = variable.get("current", {}).get("value", "")
    if variable["type"] == "datasource":
        return "prometheus"
    if variable.get("includeAll") and chosen in ("$__all", ["$__all"]):
        assert variable.get("allValue"), f"${variable['name']}: what stands for all of them only the browser knows"
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

"""Vertical lines on every graph: what happened to the stack at that moment.

Alerts are Grafana's own, so that Prometheus has no series ALERTS: an alert that fires is marked by Grafana on the panel
that it links to (the built-in entry). The others are asked of Prometheus. An expression whose value is a time, in
milliseconds, is marked at that time, whenever it was scraped.
"""

from dataclasses import dataclass

from observability.drawing import DATASOURCE, Json
from observability.panel import GREY
from observability.promql import Scope
from observability.queries import happened


@dataclass(frozen=True, slots=True)
class Mark:
    """A kind of event: its name, the expression, its colour, what is written beside it."""

    name: str
    expr: str
    colour: str
    text: str
    value_is_time: bool


def every(scope: Scope) -> tuple[Mark, ...]:
    """All marks, for the VMs that a dashboard shows."""
    return (
        Mark("Gateway started", happened.gateway_started(scope), "light-blue", "gateway started {{vm}}", False),
        Mark("Engine ready", happened.engine_ready(scope), "green", "{{job}}: its engine became ready {{vm}}", True),
        Mark("Stack deployed", happened.deployed(scope), "purple", "{{job}} started {{vm}}", True),
    )


def listed(scope: Scope) -> list[Json]:
    """The entries, as Grafana keeps them."""
    # Grafana colours an alert that fires red and its end green; the colour here is for all else, such as a first look.
    built_in: Json = {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": GREY,
        "name": "Annotations & Alerts",
        "target": {"limit": 100, "matchAny": False, "tags": [], "type": "dashboard"},
        "type": "dashboard",
    }
    return [built_in, *(_entry(mark) for mark in every(scope))]


def _entry(mark: Mark) -> Json:
    return {
        "name": mark.name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": mark.colour,
        "expr": mark.expr,
        "step": "15s",
        "titleFormat": mark.name,
        "textFormat": mark.text,
        "tagKeys": "",
        "useValueForTime": mark.value_is_time,
    }

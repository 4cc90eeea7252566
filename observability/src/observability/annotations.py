"""Annotations: lines on every graph where a part of the stack was started, and regions while an alert paged.

Grafana itself marks an alert only on the panel that the alert links to (the built-in annotation). The others are
Prometheus queries. A query whose value is a time, in milliseconds, is drawn at that time, whenever it was scraped.
"""

from dataclasses import dataclass

from observability.grafana_json import DATASOURCE, Json
from observability.panel import GREY
from observability.promql import Scope
from observability.queries import events


@dataclass(frozen=True, slots=True)
class Annotation:
    """A kind of event: its name, query, colour and text."""

    name: str
    expr: str
    colour: str
    text: str
    value_is_time: bool


def all_annotations(scope: Scope) -> tuple[Annotation, ...]:
    """All annotations, of the VMs that a dashboard shows."""
    return (
        Annotation("Alert that pages", events.pages(), "red", "{{alertname}}", False),
        Annotation("Gateway started", events.gateway_started(scope), "light-blue", "gateway started {{vm}}", False),
        Annotation(
            "Engine ready", events.engine_ready(scope), "green", "{{job}}: its engine became ready {{vm}}", True
        ),
        Annotation("Stack deployed", events.deployed(scope), "purple", "{{job}} started {{vm}}", True),
    )


def annotations_json(scope: Scope) -> list[Json]:
    """The annotations as Grafana's JSON."""
    # Grafana draws a firing alert red and a resolved one green; this colour is for other states, such as no data.
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
    return [built_in, *(_annotation_json(annotation) for annotation in all_annotations(scope))]


def _annotation_json(annotation: Annotation) -> Json:
    return {
        "name": annotation.name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": annotation.colour,
        "expr": annotation.expr,
        "step": "5m" if annotation.value_is_time else "60s",  # for as long as each is recorded, or less
        "titleFormat": annotation.name,
        "textFormat": annotation.text,
        "tagKeys": "",
        "useValueForTime": annotation.value_is_time,
    }

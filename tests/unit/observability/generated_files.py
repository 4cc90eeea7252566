"""What several tests read: the files as generated, the expressions in them, and the recorded scrapes."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from observability import annotations, dashboards, files, recording, variables
from observability.alerts import rules
from observability.breakage import Exported, exported

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden"
# Grafana puts a duration or a choice where these stand.
_VARIABLES = {"$__rate_interval": "1m", "$__range": "1h"} | {f"${name}": ".*" for name in variables.NAMES}
# Made by Prometheus itself, for every target.
OF_PROMETHEUS_ITSELF = {
    name: {"job", "instance", "vm"} for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped")
}

Json = dict[str, Any]


def dashboard_files() -> list[Json]:
    """Every dashboard, as its file holds it."""
    texts = (text for path, text in files.generated().items() if path.startswith("grafana/dashboards/"))
    return [json.loads(text) for text in texts]


def panels(dashboard: Json) -> list[Json]:
    """Its panels, without the headings of rows, but with what those hide until they are clicked."""
    hidden = [panel for row in dashboard["panels"] if row["type"] == "row" for panel in row["panels"]]
    return [panel for panel in [*dashboard["panels"], *hidden] if panel["type"] != "row"]


def generated_yaml(path: str) -> Json:
    """A generated YAML file."""
    document: Json = yaml.safe_load(files.generated()[path])
    return document


def expressions() -> dict[str, str]:
    """Every expression of a panel, an annotation, an alert or a recording rule, with variables filled in."""
    asked = {
        f"{dashboard.uid}: {panel.title}: {query.legend}": query.expr
        for dashboard in dashboards.every()
        for panel in dashboard.panels
        for query in panel.queries
    }
    asked |= {
        f"{dashboard.uid}: annotation: {mark.name}": mark.expr
        for dashboard in dashboards.every()
        for mark in annotations.every(dashboard.choices.at_each_point)
    }
    asked |= {f"alert {alert.name}": alert.expr for alert in rules.every()}
    asked |= {f"recorded {name}": expr for name, expr in recording.series().items()}
    return {who: filled_in(expr) for who, expr in asked.items()}


def exempt() -> dict[str, str]:
    """The expressions whose panel may be empty on a loaded stack, with the reason that its source gives."""
    reasons: dict[str, str] = {}
    for dashboard in dashboards.every():
        for panel in dashboard.panels:
            if panel.needs:
                reasons |= {f"{dashboard.uid}: {panel.title}: {query.legend}": panel.needs for query in panel.queries}
        for mark in annotations.every(dashboard.choices.at_each_point):
            if not mark.value_is_time:  # it has data in the moment in which something happens
                reasons[f"{dashboard.uid}: annotation: {mark.name}"] = "an event"
    return reasons


def filled_in(expression: str) -> str:
    """An expression as Prometheus gets it."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def goldens() -> dict[str, str]:
    """The recorded scrapes by their part: `gateway`, `vllm-0.32.0`."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*.metrics"))}


def job_of(part: str) -> str:
    """The job of a part, whose name may end in a version."""
    return re.sub(r"-\d.*$", "", part)


def golden(part: str) -> Exported:
    """What a part exports: for each metric its labels, and the values of those labels."""
    return exported(goldens()[part])

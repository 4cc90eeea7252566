"""What several tests read: the files as generated, the expressions in them, and the recorded scrapes."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from observability import dashboards, files, recording
from observability.alerts import rules

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden"
# Grafana puts a duration or a choice where these stand.
_VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$model": ".*", "$engine": ".*", "$instance": ".*"}
# `up` is made by Prometheus itself, for every target.
OF_PROMETHEUS_ITSELF = {"up": {"job", "instance"}}

Json = dict[str, Any]


def dashboard_files() -> list[Json]:
    """Every dashboard, as its file holds it."""
    texts = (text for path, text in files.generated().items() if path.startswith("grafana/dashboards/"))
    return [json.loads(text) for text in texts]


def panels(dashboard: Json) -> list[Json]:
    """Its panels, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def generated_yaml(path: str) -> Json:
    """A generated YAML file."""
    document: Json = yaml.safe_load(files.generated()[path])
    return document


def expressions() -> dict[str, str]:
    """Every expression of a panel, an alert or a recording rule, by who asks, with Grafana's variables filled in."""
    asked = {
        f"{dashboard.uid}: {panel.title}: {query.legend}": query.expr
        for dashboard in dashboards.every()
        for panel in dashboard.panels
        for query in panel.queries
    }
    asked |= {f"alert {alert.name}": alert.expr for alert in rules.every()}
    asked |= {f"recorded {name}": expr for name, expr in recording.series().items()}
    return {who: filled_in(expr) for who, expr in asked.items()}


def filled_in(expression: str) -> str:
    """An expression as Prometheus gets it."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def golden(job: str) -> dict[str, dict[str, set[str]]]:
    """What a job exports: for each metric its labels, and the values of those labels."""
    known: dict[str, dict[str, set[str]]] = {}
    for line in (GOLDEN / f"{job}.metrics").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        labels = known.setdefault(re.split(r"[{ ]", line, maxsplit=1)[0], {})
        for key, value in re.findall(r'(\w+)="([^"]*)"', line):
            labels.setdefault(key, set()).add(value)
    return known

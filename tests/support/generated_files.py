"""The generated files of observability/, the expressions in them, and the recorded scrapes."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from observability import alerts, annotations, dashboards, files, recording, variables
from observability.missing_metrics import Exposition, parse_exposition

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/unit/observability/golden"
# What Grafana fills in for its variables.
_VARIABLES = {"$__rate_interval": "1m", "$__range_s": "3600", "$__range": "1h", "$__interval": "1m"} | {
    f"${name}": ".*" for name in variables.NAMES
}
_VARIABLES |= {f"${name}": bounds[0] for name, bounds in variables.OBJECTIVES.items()}
# Metrics that Prometheus itself adds to every target.
TARGET_METRICS = {
    name: {"job", "instance", "vm"} for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped")
}

# What Prometheus itself says of its alert rules.
RULE_METRICS = {"ALERTS", "ALERTS_FOR_STATE"}

Json = dict[str, Any]


def dashboard_files() -> list[Json]:
    """Every dashboard's file, of a stack that has every part."""
    return dashboard_files_of("all")


def dashboard_files_of(shape: str) -> list[Json]:
    """Every dashboard's file of a shape of the stack."""
    texts = (text for path, text in files.generated().items() if path.startswith(f"grafana/dashboards/{shape}/"))
    return [json.loads(text) for text in texts]


def panels(dashboard: Json) -> list[Json]:
    """A dashboard's panels, those of collapsed rows included, without row headings."""
    collapsed = [panel for row in dashboard["panels"] if row["type"] == "row" for panel in row["panels"]]
    return [panel for panel in [*dashboard["panels"], *collapsed] if panel["type"] != "row"]


def generated_yaml(path: str) -> Json:
    """A generated YAML file."""
    document: Json = yaml.safe_load(files.generated()[path])
    return document


def recording_groups(*names: str) -> Json:
    """The rule file with only these groups: promtool evaluates every rule of a file at every step of every case."""
    return {"groups": [group for group in recording.rules()["groups"] if group["name"] in names]}


def expressions() -> dict[str, str]:
    """Every expression of a panel, annotation, alert or recording rule, with variables filled in."""
    expressions = {
        f"{dashboard.uid}: {panel.title}: {query.legend}": query.expr
        for dashboard in dashboards.all_dashboards()
        for panel in dashboard.panels
        for query in panel.queries
    }
    expressions |= {
        f"{dashboard.uid}: annotation: {annotation.name}": annotation.expr
        for dashboard in dashboards.all_dashboards()
        for annotation in annotations.all_annotations(dashboard.variables.per_interval)
    }
    expressions |= {f"alert {alert.name}": alert.expr for alert in alerts.all_alerts()}
    expressions |= {f"recorded {name}": expr for name, expr in recording.series().items()}
    return {used_by: filled_in(expr) for used_by, expr in expressions.items()}


def exempt() -> dict[str, str]:
    """The expressions whose panel may be empty on a loaded stack, with the reason from its source."""
    reasons: dict[str, str] = {}
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            for query in panel.queries:
                if reason := panel.needs or ("another day" if " offset " in query.expr else ""):
                    reasons[f"{dashboard.uid}: {panel.title}: {query.legend}"] = reason
        for annotation in annotations.all_annotations(dashboard.variables.per_interval):
            if not annotation.value_is_time:  # has data only at the moment of the event
                reasons[f"{dashboard.uid}: annotation: {annotation.name}"] = "an event"
    return reasons


def filled_in(expression: str) -> str:
    """An expression as Prometheus gets it."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def goldens() -> dict[str, str]:
    """The recorded scrapes by name: `gateway`, `vllm-0.32.0`."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*.metrics"))}


def job_of(scrape: str) -> str:
    """The job of a recorded scrape, whose name may end in a version."""
    return re.sub(r"-\d.*$", "", scrape)


def variants() -> list[tuple[str, str]]:
    """The job and the scrape of configurations that export more: a partitioned GPU, LoRA adapters."""
    files = sorted((GOLDEN / "variants").glob("*.metrics"))
    return [(path.name.partition(".")[0], path.read_text(encoding="utf-8")) for path in files]


def golden(scrape: str) -> Exposition:
    """A recorded scrape: for each metric its labels, and the values of those labels."""
    return parse_exposition(goldens()[scrape])

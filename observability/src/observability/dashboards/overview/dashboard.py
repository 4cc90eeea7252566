"""Overview: is the service healthy, and if not, which part is at fault?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards.gateway.requests import model_columns
from observability.dashboards.overview import infrastructure, requests, service_levels, tiles
from observability.panel import Key, Panel, table
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine")


def dashboard() -> Dashboard:
    """The dashboard to open first."""
    return Dashboard(
        links.OVERVIEW,
        links.TITLES[links.OVERVIEW],
        "Is the service healthy, and if not, which part is at fault?",
        (
            Row("", 4, tiles.service(VARIABLES)),
            Row("", 4, tiles.parts(VARIABLES)),
            Row("Service levels", 4, service_levels.tiles(VARIABLES)),
            Row("", 8, service_levels.graphs()),
            Row("What to do now", 8, (_alerts(), _models())),
            Row("Latency", 8, requests.latency(VARIABLES)),
            Row("Traffic", 8, requests.traffic(VARIABLES)),
            Row("Engines", 8, infrastructure.engines_row(VARIABLES)),
            Row("What was lost", 7, requests.losses(VARIABLES)),
            Row("Machines", 9, infrastructure.machines(VARIABLES)),
            Row("", 8, infrastructure.targets(VARIABLES)),
        ),
        VARIABLES,
    )


def _alerts() -> Panel:
    return Panel(
        kind="alertlist",
        title="Alerts that fire",
        question="Which alerts are firing? Each has a section in docs/runbook.md, with commands to paste.",
        blind_spot="faults without an alert. While Prometheus is down, only TargetDown can fire.",
        unit="none",
        width=8,
        queries=(),
        no_value="No alerts firing",
    )


def _models() -> Panel:
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? Click a model to open the Gateway dashboard for it.",
        "over the selected time range. `none`: the request named no model; `other`: a model that no engine serves.",
        "short",
        16,
        model_columns(VARIABLES, brief=True),
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )

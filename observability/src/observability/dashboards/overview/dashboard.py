"""Overview: is the service healthy, and if not, which part is at fault?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards.gateway.requests import model_columns
from observability.dashboards.overview import infrastructure, requests, service_levels, tiles
from observability.panel import Key, Panel, table
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine")


def dashboard() -> Dashboard:
    """The page that opens first."""
    return Dashboard(
        links.OVERVIEW,
        links.TITLES[links.OVERVIEW],
        "Is the service well, and if not, which part to look at?",
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
        question="What has to be done now? Each has a heading in docs/runbook.md that ends in checks to paste.",
        blind_spot="what no alert looks for. Without Prometheus only TargetDown fires, and the rest is silent.",
        unit="none",
        width=8,
        queries=(),
        no_value="Nothing fires",
    )


def _models() -> Panel:
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? A click on it opens the Gateway dashboard for it.",
        "over the whole time shown. `none` named no model, `other` is one that no engine serves.",
        "short",
        16,
        model_columns(VARIABLES, brief=True),
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )

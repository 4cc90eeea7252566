"""Overview: is the service healthy, and if not, which part is at fault?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards.gateway import latency
from observability.dashboards.gateway.models import model_columns
from observability.dashboards.overview import alerts, infrastructure, requests, service_levels, tiles
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
            Row("", 5, alerts.firing()),
            Row("Now", 4, tiles.clients(VARIABLES)),
            Row("", 4, tiles.parts(VARIABLES)),
            Row("Selected time range", 4, tiles.selected_range(VARIABLES)),
            Row("Latency", 8, latency.latency(VARIABLES)),
            Row("Traffic", 8, requests.traffic(VARIABLES)),
            Row("Engines", 8, infrastructure.engines_row(VARIABLES)),
            Row("Service levels", 4, service_levels.tiles()),
            Row("", 8, service_levels.graphs(VARIABLES)),
            Row("Machines", 8, infrastructure.machines(VARIABLES)),
            # Collapsed rows are not queried until they are opened: over seven days theirs are the most samples.
            Row("Models", 7, (_models(),), collapsed=True),
            Row("Scrape targets, versions and alert rules", 9, infrastructure.targets(VARIABLES), collapsed=True),
            Row("Queue time in vLLM", 7, infrastructure.queue_time(VARIABLES), collapsed=True, part="vllm"),
            Row("Cancels, timeouts and discarded output", 7, requests.losses(VARIABLES), collapsed=True),
            Row("Latency distributions", 8, latency.distributions(VARIABLES), collapsed=True),
            Row("Machine I/O, OOM kills and clocks", 7, infrastructure.machine_io(VARIABLES), collapsed=True),
        ),
        VARIABLES,
        refresh_seconds=settings.REFRESH_SECONDS,
    )


def _models() -> Panel:
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? Click a model to open the Gateway dashboard for it.",
        "over the selected time range, except In flight. (no model): the request named none; (unknown model): no "
        "engine serves it.",
        "short",
        24,
        model_columns(VARIABLES, brief=True),
        no_value="No data: no traffic, or the gateway is not scraped",
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )

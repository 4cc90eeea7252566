"""Gateway: who is served well, what fails, and is the gateway itself healthy?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards import privacy
from observability.dashboards.gateway import engines as engines_rows
from observability.dashboards.gateway import process as process_rows
from observability.dashboards.gateway import requests as requests_rows
from observability.panel import GREEN, RED, Panel, Thresholds, stat
from observability.queries.gateway import process, requests
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine")
_FULL_RANGE, _NOW = VARIABLES.full_range, VARIABLES.now


def dashboard() -> Dashboard:
    """Requests by route and model, losses, engines as the gateway sees them, the gateway itself."""
    return Dashboard(
        links.GATEWAY,
        links.TITLES[links.GATEWAY],
        "Who is served well, what fails, and is the gateway itself healthy?",
        (
            Row("", 4, _tiles()),
            Row("By route", 8, requests_rows.by_route(VARIABLES)),
            Row("By model", 7, (requests_rows.models(VARIABLES),)),
            Row("How requests end", 8, requests_rows.outcomes(VARIABLES)),
            Row("How fast", 8, requests_rows.latency(VARIABLES)),
            Row("What was lost", 8, process_rows.losses(VARIABLES)),
            Row("Engines, as the gateway sees them", 8, engines_rows.states(VARIABLES)),
            Row("", 7, engines_rows.attempts(VARIABLES)),
            Row("Is the gateway itself well?", 7, process_rows.workers(VARIABLES)),
            Row("The edge, and who is turned away", 7, process_rows.ingress(VARIABLES)),
            Row("Privacy", 6, privacy.panels(VARIABLES)),
        ),
        VARIABLES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        stat(
            "Requests",
            "How many requests finished per second in the last minute?",
            "a long stream counts when it ends.",
            "reqps",
            requests.finished(_NOW),
        ),
        stat(
            "Failed",
            "What share of requests failed on the server's side, in the selected time range?",
            "excludes client errors, cancelled requests and what nginx rejected.",
            "percentunit",
            requests.failed_share(_FULL_RANGE),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            decimals=2,
            action="How requests end shows the outcome; the gateway logs each request with its engine.",
        ),
        stat(
            "First token within 1 s",
            "What share of streams got its first token within a second?",
            "only streams that got a first token.",
            "percentunit",
            requests.first_tokens_within_share(_FULL_RANGE, "1.0"),
            Thresholds.low_is_bad(0.9, 0.95),
            maximum=1,
            decimals=1,
            drilldown=links.ENGINE,
        ),
        stat(
            "Workers missing",
            "Are all workers running?",
            "a worker that hangs counts as running: see Lag of the event loop.",
            "short",
            process.workers_missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            no_value="No gateway",
            decimals=0,
            action="the log says why a worker exited: out of memory, or gunicorn's timeout.",
        ),
        stat(
            "Lost with a worker",
            "How many requests were lost since the gateway started?",
            "counts requests of killed workers; what nginx or the network lost is unknown.",
            "short",
            process.lost_requests(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            no_value="No gateway",
            decimals=0,
        ),
        stat(
            "Lag of the event loop, p99",
            "Is the gateway short of CPU?",
            "measured twice a second in each worker: shorter stalls are usually missed.",
            "s",
            process.loop_lag(_FULL_RANGE, 0.99),
            Thresholds.high_is_bad(settings.LOOP_LAG_WARN_SECONDS, settings.LOOP_LAG_LIMIT_SECONDS),
            no_value="No gateway",
            action="more workers (WORKERS); or another process takes the CPU: check the VM.",
        ),
    )

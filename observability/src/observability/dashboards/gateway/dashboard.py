"""Gateway: who is served well, what fails, and is the gateway itself healthy?"""

from observability import downsampling, links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards import privacy
from observability.dashboards.gateway import engines as engines_rows
from observability.dashboards.gateway import latency as latency_panels
from observability.dashboards.gateway import models as models_rows
from observability.dashboards.gateway import process as process_rows
from observability.dashboards.gateway import requests as requests_rows
from observability.panel import COUNT, GREEN, RED, Panel, Thresholds, stat
from observability.queries import extremes
from observability.queries.gateway import JOB, history, process, requests
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine", "ttft_objective")
_FULL_RANGE, _CELL, _NOW, _RECENT = VARIABLES.full_range, VARIABLES.per_cell, VARIABLES.now, VARIABLES.recent


def dashboard() -> Dashboard:
    """Requests by route and model, losses, engines as the gateway sees them, the gateway itself."""
    return Dashboard(
        links.GATEWAY,
        links.TITLES[links.GATEWAY],
        "Who is served well, what fails, and is the gateway itself healthy?",
        (
            Row("Now", 4, _now()),
            Row("Selected time range", 4, _selected_range()),
            Row("By model", 7, (models_rows.models(VARIABLES),)),
            Row("", 8, models_rows.over_time(VARIABLES)),
            Row("", 8, models_rows.latency(VARIABLES)),
            Row("Outcomes", 8, requests_rows.outcomes(VARIABLES)),
            Row("Latency", 8, requests_rows.latency(VARIABLES)),
            Row("By route", 8, requests_rows.by_route(VARIABLES)),
            Row("Engines, as the gateway sees them", 8, engines_rows.states(VARIABLES)),
            Row("", 7, engines_rows.attempts(VARIABLES)),
            Row("Cancels, timeouts and discarded output", 8, process_rows.losses(VARIABLES)),
            Row("Gateway processes", 7, process_rows.workers(VARIABLES)),
            Row("", 7, process_rows.resources(VARIABLES)),
            Row("nginx and authentication", 7, process_rows.ingress(VARIABLES)),
            Row("Privacy", 6, privacy.panels(VARIABLES)),
            Row("Prompt and output length, engine probes", 7, _lengths_and_probes(), collapsed=True),
            Row("Latency distributions", 8, latency_panels.distributions(VARIABLES), collapsed=True),
        ),
        VARIABLES,
    )


def _lengths_and_probes() -> tuple[Panel, ...]:
    return (*models_rows.lengths(VARIABLES), engines_rows.probes(VARIABLES))


def _now() -> tuple[Panel, ...]:
    return (
        stat(
            "Request rate (5m)",
            "How many requests finished per second in the last five minutes?",
            "a long stream counts when it ends.",
            "reqps", requests.finished(_RECENT), job=JOB,
            sparkline=history.request_rate(_CELL), step_seconds=history.STEP_SECONDS,
        ),
        stat(
            "Error rate (5m)",
            "What share of requests failed on the server's side in the last five minutes?",
            "excludes client errors, cancelled requests and what nginx answered itself.",
            "percentunit", requests.failed_share(_RECENT),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            job=JOB, decimals=2,
            sparkline=history.failed_share(_CELL), step_seconds=history.STEP_SECONDS,
            action="Outcomes shows how they fail; the gateway logs each request with its engine.",
        ),
        stat(
            "Requests in flight",
            "How many requests are in progress?",
            "the value at the latest scrape.",
            "short", requests.in_flight(_NOW), job=JOB,
            sparkline=extremes.in_flight(_CELL), step_seconds=extremes.STEP_SECONDS,
        ),
        stat(
            "Event loop lag p99 (5m)",
            "Is the gateway short of CPU?",
            "measured twice a second in each worker: shorter stalls are usually missed.",
            "s", process.loop_lag(_RECENT, 0.99),
            Thresholds.high_is_bad(settings.LOOP_LAG_WARN_SECONDS, settings.LOOP_LAG_LIMIT_SECONDS),
            job=JOB, sparkline=process.loop_lag(_CELL, 0.99), step_seconds=history.STEP_SECONDS,
            action="more workers (WORKERS); or another process takes the CPU: check the VM.",
        ),
        stat(
            "Workers down",
            "Are all workers running?",
            "a worker that hangs counts as running: see Event loop lag.",
            COUNT, process.workers_missing(_NOW), Thresholds(GREEN, ((1, RED),)), job=JOB, decimals=0,
            action="the log says why a worker exited: out of memory, or gunicorn's timeout.",
        ),
        stat(
            "Requests lost in worker crashes",
            "How many requests were lost since the gateway started?",
            "counts requests of killed workers; what nginx or the network lost is unknown.",
            COUNT, process.lost_requests(_NOW), Thresholds(GREEN, ((1, RED),)), job=JOB, decimals=0,
        ),
    )  # fmt: skip


def _selected_range() -> tuple[Panel, ...]:
    to_the_step = "Counted by the minute; the last one may still be missing."
    to_the_minute = f"Counted {downsampling.STEPS}, the last of which may still be missing"
    return (
        stat(
            "Requests",
            "How many requests finished?",
            f"without health checks. {to_the_step}",
            COUNT, history.finished(_FULL_RANGE), job=JOB, width=6, decimals=0,
        ),
        stat(
            "Error rate",
            "What share of requests failed on the server's side?",
            f"excludes client errors, cancelled requests and what nginx answered itself. {to_the_step}",
            "percentunit", history.failed_share(_FULL_RANGE),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            job=JOB, width=6, decimals=2,
        ),
        stat(
            "Cancelled",
            "What share of requests did clients cancel?",
            f"without client errors. Does not show why. {to_the_step}",
            "percentunit", history.cancelled_share(_FULL_RANGE), Thresholds.warn(settings.CANCELLED_SHARE_WARN),
            job=JOB, width=6, decimals=1,
        ),
        stat(
            "TTFT within the objective",
            "What share of streams got its first token within the time chosen above (TTFT objective)?",
            f"only streams that got a first token. Exact, as the times offered are bounds of buckets. {to_the_minute}.",
            "percentunit", history.within_share(_FULL_RANGE, "$ttft_objective"),
            Thresholds.low_is_bad(0.9, settings.TTFT_OBJECTIVE),
            job=JOB, width=6, maximum=1, decimals=1, drilldown=links.ENGINE,
        ),
    )  # fmt: skip

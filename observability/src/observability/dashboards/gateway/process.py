"""Rows of the Gateway dashboard on what was lost, the gateway's own processes, and nginx."""

from observability import settings
from observability.dashboards import palette
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, Panel, Query, Thresholds, graph
from observability.queries import stack
from observability.queries.gateway import history, process, requests
from observability.variables import Variables


def losses(variables: Variables) -> tuple[Panel, ...]:
    """Cancellations, timeouts, wasted output."""
    interval = variables.per_interval
    return (
        graph(
            "Cancellations by phase",
            "Do clients cancel before or after the first token?",
            "a cancelled request and a broken connection look the same. Not by model.",
            "reqps",
            8,
            (Query(requests.cancellations(variables.per_cell), "{{phase}}"),),
            step_seconds=history.STEP_SECONDS,
            no_value="Gateway not scraped",
            colours=palette.PHASES,
            stacked=True,
            action="many before the first event: clients do not wait that long, see Time to first token.",
        ),
        graph(
            "Timeouts by phase",
            "Where do requests hang?",
            "shows the phase; Upstream error rate by engine shows the engine.",
            "reqps",
            8,
            (Query(requests.timeouts(variables.per_cell), "{{phase}}"),),
            step_seconds=history.STEP_SECONDS,
            no_value="Gateway not scraped",
            colours=palette.PHASES,
            stacked=True,
            action="connect: the engine's port. ttft: overload or long prompts. idle: the engine hangs within an "
            "answer.",
        ),
        graph(
            "Discarded output share",
            "What share of the output did nobody read to the end?",
            "counted in events, since an unfinished stream reports no usage: an event can be several tokens.",
            "percentunit",
            8,
            (Query(requests.wasted_share(interval), "discarded"),),
            no_value="No data: no traffic, or the gateway is not scraped",
            colours=(("discarded", ORANGE),),
            smooth=True,
        ),
    )


def workers(variables: Variables) -> tuple[Panel, ...]:
    """Workers, event loop, and the cost of scraping."""
    interval = variables.per_interval
    return (
        graph(
            "Workers",
            "Do workers die or fail to start?",
            "the fewest of the scrapes around each point: a worker that is replaced within seconds may not be visible.",
            "short",
            8,
            (
                Query(process.workers(interval), "live"),
                Query(process.workers_expected(interval), "expected", dashed=True),
            ),
            no_value="Gateway not scraped",
            colours=(("live", GREEN), ("expected", GREY)),
        ),
        graph(
            "Event loop lag",
            "Is the gateway short of CPU?",
            "measured twice a second in each worker: shorter stalls are usually missed. A busy machine looks the same.",
            "s",
            8,
            tuple(Query(process.loop_lag(variables.per_cell, q), name) for q, name in palette.QUANTILE_NUMBERS),
            no_value="Gateway not scraped",
            thresholds=Thresholds.limit(settings.LOOP_LAG_LIMIT_SECONDS),
            colours=palette.QUANTILES,
            step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Scrape duration",
            "Is scraping the gateway cheap?",
            "measured by Prometheus, network time included. A scrape that takes longer than the limit fails.",
            "s",
            8,
            (Query(process.scrape_seconds(interval), "{{vm}}"),),
            no_value="Gateway not scraped",
            thresholds=Thresholds.limit(settings.SCRAPE_TIMEOUT_SECONDS),
        ),
    )


def resources(variables: Variables) -> tuple[Panel, ...]:
    """What the gateway itself uses."""
    interval = variables.per_interval
    return (
        graph(
            "Gateway CPU usage",
            "How much CPU do the gateway's processes use, and is a worker at its limit of one core?",
            "all processes together, the master and the metrics page included.",
            "cores",
            8,
            (
                Query(process.cpu_cores(interval), "{{vm}}"),
                Query(process.workers_expected(interval), "workers (one core each)", dashed=True, colour=GREY),
            ),
            no_value="Gateway not scraped",
            soft_max=0.5,
        ),
        graph(
            "Gateway memory",
            "Does the gateway's memory grow?",
            "resident, all processes together: pages that they share count once for each.",
            "bytes",
            8,
            (Query(process.resident_bytes(interval), "{{vm}}"),),
            no_value="Gateway not scraped",
        ),
        graph(
            "Lost log lines",
            "Is the log complete?",
            "lines that could not be written: their reader has left, or the disk is full.",
            "events/s",
            8,
            (Query(process.log_lines_lost(interval), "lost"),),
            no_value="Gateway not scraped",
            colours=(("lost", RED),),
        ),
    )


def ingress(variables: Variables) -> tuple[Panel, ...]:
    """nginx, rejected keys, and label values beyond the limit."""
    interval = variables.per_interval
    return (
        graph(
            "nginx vs gateway requests",
            "How many requests does nginx answer itself?",
            "nginx counts everything: Grafana, health checks, rejections. Only its log shows which.",
            "reqps",
            6,
            (
                Query(stack.nginx_requests(interval), "nginx"),
                Query(history.request_rate(variables.per_cell), "gateway"),
            ),
            no_value="Neither nginx-exporter nor gateway scraped",
            colours=(("nginx", GREY), ("gateway", BLUE)),
            step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "nginx connections",
            "How many connections are open, and does nginx drop any?",
            "the value at each scrape. dropped is per second: the connection limit was reached.",
            "short",
            6,
            (
                Query(stack.nginx_connections(interval, "reading"), "reading"),
                Query(stack.nginx_connections(interval, "writing"), "writing"),
                Query(stack.nginx_connections(interval, "waiting"), "idle"),
                Query(stack.nginx_dropped(interval), "dropped"),
            ),
            no_value="nginx-exporter not scraped",
            colours=(("reading", ORANGE), ("writing", BLUE), ("idle", GREY), ("dropped", RED)),
        ),
        graph(
            "Authentication failures",
            "Is somebody guessing keys, or is a revoked key still in use?",
            "addresses are only in nginx' log.",
            "reqps",
            6,
            (Query(process.auth_failures(variables.per_cell), "{{reason}}"),),
            step_seconds=history.STEP_SECONDS,
            no_value="Gateway not scraped",
        ),
        graph(
            "Label cardinality overflow",
            "Are there more keys or models than the gateway has series for?",
            "they are counted as `other`: totals are right, their own series are missing.",
            "reqps",
            6,
            (Query(process.label_overflow(variables.per_cell), "{{metric}}"),),
            step_seconds=history.STEP_SECONDS,
            no_value="Gateway not scraped",
        ),
    )

"""Rows of the Gateway dashboard on what was lost, the gateway's own processes, and nginx."""

from observability import settings
from observability.dashboards import palette
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, Panel, Query, Thresholds, graph
from observability.queries import stack
from observability.queries.gateway import process, requests
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
            (Query(requests.cancellations(interval), "{{phase}}"),),
            no_value="No gateway",
            colours=palette.PHASES,
            stacked=True,
            action="many before the first event: clients do not wait that long, see Time to first token.",
        ),
        graph(
            "Timeouts by phase",
            "Where do requests hang?",
            "shows the phase; Failing attempts shows the engine.",
            "reqps",
            8,
            (Query(requests.timeouts(interval), "{{phase}}"),),
            no_value="No gateway",
            colours=palette.PHASES,
            stacked=True,
            action="connect: the engine's port. ttft: overload or long prompts. idle: the engine hangs within an "
            "answer.",
        ),
        graph(
            "Wasted output",
            "What share of the output did nobody read to the end?",
            "counted in events, since an unfinished stream reports no usage: an event can be several tokens.",
            "percentunit",
            8,
            (Query(requests.wasted_share(interval), "wasted"),),
            colours=(("wasted", ORANGE),),
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
            "the value at each scrape: a worker that is replaced within seconds may not be visible.",
            "short",
            8,
            (Query(process.workers(interval), "live"), Query(process.workers_expected(interval), "expected")),
            no_value="No gateway",
            colours=(("live", GREEN), ("expected", GREY)),
        ),
        graph(
            "Lag of the event loop",
            "Is the gateway short of CPU?",
            "measured twice a second in each worker: shorter stalls are usually missed. A busy machine looks the same.",
            "s",
            8,
            tuple(Query(process.loop_lag(interval, q), name) for q, name in palette.QUANTILE_NUMBERS),
            no_value="No gateway",
            thresholds=Thresholds.limit(settings.LOOP_LAG_LIMIT_SECONDS),
            colours=palette.QUANTILES,
            smooth=True,
        ),
        graph(
            "Time to scrape the gateway",
            "Is scraping the gateway cheap?",
            "measured by Prometheus, network time included.",
            "s",
            8,
            (Query(process.scrape_seconds(interval), "{{vm}}"),),
            no_value="No gateway",
            thresholds=Thresholds.limit(settings.SCRAPE_TIMEOUT_SECONDS),
        ),
    )


def ingress(variables: Variables) -> tuple[Panel, ...]:
    """nginx, rejected keys, and label values beyond the limit."""
    interval = variables.per_interval
    return (
        graph(
            "Requests at the door and at the gateway",
            "How many requests does nginx answer itself?",
            "nginx counts everything: Grafana, health checks, rejections. Only its log shows which.",
            "reqps",
            6,
            (Query(stack.nginx_requests(interval), "nginx"), Query(requests.finished(interval), "gateway")),
            colours=(("nginx", GREY), ("gateway", BLUE)),
        ),
        graph(
            "Connections at the door",
            "How many connections are open, and does nginx drop any?",
            "the value at each scrape. dropped is per second: the connection limit was reached.",
            "short",
            6,
            (
                Query(stack.nginx_connections(interval, "reading"), "asking"),
                Query(stack.nginx_connections(interval, "writing"), "answered"),
                Query(stack.nginx_connections(interval, "waiting"), "kept alive"),
                Query(stack.nginx_dropped(interval), "dropped"),
            ),
            no_value="No nginx in this stack",
            colours=(("asking", ORANGE), ("answered", BLUE), ("kept alive", GREY), ("dropped", RED)),
        ),
        graph(
            "Turned away for their key",
            "Is somebody guessing keys, or is a revoked key still in use?",
            "addresses are only in nginx' log.",
            "reqps",
            6,
            (Query(process.auth_failures(interval), "{{reason}}"),),
            no_value="No rejected keys yet",
        ),
        graph(
            "Requests without a series of their own",
            "Are there more keys or models than the gateway has series for?",
            "they are counted as `other`: totals are right, their own series are missing.",
            "reqps",
            6,
            (Query(process.label_overflow(interval), "{{metric}}"),),
            no_value="No gateway",
        ),
    )

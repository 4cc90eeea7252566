"""Rows of the Gateway dashboard on what was lost, the gateway's own processes, and nginx."""

from observability import settings
from observability.dashboards import palette
from observability.panel import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Panel,
    Query,
    Thresholds,
    graph,
)
from observability.queries import stack
from observability.queries.gateway import process, requests
from observability.variables import Variables


def losses(variables: Variables) -> tuple[Panel, ...]:
    """Cancels, timeouts, waste."""
    interval = variables.per_interval
    return (
        graph(
            "Cancellations by phase",
            "Do clients leave before or after the first word?",
            "a client that left and one whose network broke look the same; not by model.",
            "reqps",
            8,
            (Query(requests.cancellations(interval), "{{phase}}"),),
            no_value="No gateway",
            colours=palette.PHASES,
            stacked=True,
            action="many before the first event: the wait is too long for them, see Time to first token.",
        ),
        graph(
            "Timeouts by phase",
            "Where do requests hang?",
            "says in which phase the time ran out; Failing attempts says at which engine.",
            "reqps",
            8,
            (Query(requests.timeouts(interval), "{{phase}}"),),
            no_value="No gateway",
            colours=palette.PHASES,
            stacked=True,
            action="connect: the engine's port. ttft: overload or long prompts. idle: it hangs within an answer.",
        ),
        graph(
            "Wasted output",
            "How much of what was sent did nobody read to the end, and why?",
            "counted in events, since an unfinished stream has no usage: one event can be several tokens.",
            "percentunit",
            8,
            (Query(requests.wasted_share(interval), "wasted"),),
            colours=(("wasted", ORANGE),),
            smooth=True,
        ),
    )


def workers(variables: Variables) -> tuple[Panel, ...]:
    """Its workers, its event loop, and what looking at it costs."""
    interval = variables.per_interval
    return (
        graph(
            "Workers",
            "Do workers die or hang at their start?",
            "the value at each scrape: one that is replaced within seconds may not show.",
            "short",
            8,
            (Query(process.workers(interval), "live"), Query(process.workers_expected(interval), "expected")),
            no_value="No gateway",
            colours=(("live", GREEN), ("expected", GREY)),
        ),
        graph(
            "Lag of the event loop",
            "Is the gateway too busy to be on time?",
            "measured twice a second in each worker: a shorter stall is seldom met. A busy machine looks the same.",
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
            "Is looking at the gateway cheap?",
            "as Prometheus waits for it, the network's part included.",
            "s",
            8,
            (Query(process.scrape_seconds(interval), "{{vm}}"),),
            no_value="No gateway",
            thresholds=Thresholds.limit(settings.SCRAPE_TIMEOUT_SECONDS),
        ),
    )


def ingress(variables: Variables) -> tuple[Panel, ...]:
    """nginx, keys, and labels that ran out."""
    interval = variables.per_interval
    return (
        graph(
            "Requests at the door and at the gateway",
            "How much does nginx answer by itself?",
            "nginx counts everything: Grafana, health checks, refusals. It does not say which; its log does.",
            "reqps",
            6,
            (Query(stack.nginx_requests(interval), "nginx"), Query(requests.finished(interval), "gateway")),
            colours=(("nginx", GREY), ("gateway", BLUE)),
        ),
        graph(
            "Connections at the door",
            "How many clients hold a connection, and does nginx drop any?",
            "the value at each scrape. dropped is per second: its limit of connections was reached.",
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
            "Is somebody guessing keys, or was one revoked that is still in use?",
            "not by whom: an address is in nginx' log alone.",
            "reqps",
            6,
            (Query(process.auth_failures(interval), "{{reason}}"),),
            no_value="Nobody was turned away yet",
        ),
        graph(
            "Requests without a series of their own",
            "Are there more keys or models than the gateway keeps apart?",
            "they are counted under `other`: the totals are right, their own numbers are missing.",
            "reqps",
            6,
            (Query(process.label_overflow(interval), "{{metric}}"),),
            no_value="No gateway",
        ),
    )

"""The lower rows of the Gateway dashboard: what was lost, engines as it sees them, itself, and the edge before it."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, Key, Panel, Query, Thresholds, graph, table, timeline
from observability.queries import attempts, gateway, health, stack, traffic
from observability.variables import Choices

# What `gateway.engine_state_code` answers, in words.
STATE_WORDS = tuple((code, state, palette.STATES[state]) for code, state in enumerate(gateway.ENGINE_STATES, start=1))


def losses(choices: Choices) -> tuple[Panel, ...]:
    """Cancels, timeouts, waste."""
    at = choices.at_each_point
    return (
        graph(
            "Cancellations by phase",
            "Do clients leave before or after the first word?",
            "a client that left and one whose network broke look the same; not by model.",
            "reqps",
            8,
            (Query(gateway.cancellations(at), "{{phase}}"),),
            nothing="No gateway",
            colours=palette.PHASES,
            stacked=True,
            then="many before the first event: the wait is too long for them, see Time to first token.",
        ),
        graph(
            "Timeouts by phase",
            "Where do requests hang?",
            "says in which phase the time ran out; Failing attempts says at which engine.",
            "reqps",
            8,
            (Query(gateway.timeouts(at), "{{phase}}"),),
            nothing="No gateway",
            colours=palette.PHASES,
            stacked=True,
            then="connect: the engine's port. ttft: overload or long prompts. idle: it hangs within an answer.",
        ),
        graph(
            "Wasted output",
            "How much of what was sent did nobody read to the end, and why?",
            "counted in events, since an unfinished stream has no usage: one event can be several tokens.",
            "percentunit",
            8,
            (Query(traffic.wasted_share(at), "wasted"),),
            colours=(("wasted", ORANGE),),
            smooth=True,
        ),
    )


def engines(choices: Choices) -> tuple[Panel, ...]:
    """Whether they can answer, and what comes of asking them."""
    at = choices.at_each_point
    return (
        timeline(
            "Engine states",
            "Which engines can answer, and since when?",
            "as the gateway sees them, by its own one-token probe; why one failed is told by its launcher's /status.",
            "none",
            7,
            (Query(gateway.engine_state_code(at), "{{engine}} {{vm}}"),),
            nothing="The gateway knows no engine",
            words=STATE_WORDS,
            minimum=None,
            opens=links.ENGINE,
        ),
        table(
            "Models by engine",
            "Which engine serves which model?",
            "by the engine's own list, which is kept while it is away; models beyond the sixth are one row, other.",
            "none",
            10,
            (Query(gateway.served_by(choices.now), "State"),),
            nothing="No engine has said what it serves",
            words=((0, "gone", GREY), (1, "served", GREEN)),
            keys=(
                Key("model", "Model", links.GATEWAY, "model"),
                Key("engine", "Engine"),
                Key("kind", "Kind"),
                Key("vm", "VM", width=80),
            ),
        ),
        graph(
            "Attempts by engine",
            "How is the load spread over the engines?",
            "requests, not their weight: one engine may have the long ones.",
            "reqps",
            7,
            (Query(attempts.by_engine(at), "{{engine}}"),),
            stacked=True,
        ),
    )


def failing_engines(choices: Choices) -> tuple[Panel, ...]:
    """Which engine is at fault, and what the gateway did about it."""
    at = choices.at_each_point
    return (
        graph(
            "Attempts by result",
            "What comes of asking an engine?",
            "a request that is tried again counts twice. rejected: the engine found it wrong; busy: it is full.",
            "reqps",
            6,
            (Query(attempts.by_result(at), "{{result}}"),),
            colours=palette.ATTEMPTS,
            stacked=True,
        ),
        graph(
            "Failing attempts by engine",
            "Which engine is at fault?",
            "a share of the attempts at that engine; what the client caused or cancelled is left out.",
            "percentunit",
            6,
            (Query(attempts.failed_share(at), "{{engine}}"),),
            nothing="No traffic",
            thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT),
            smooth=True,
        ),
        graph(
            "Retries by engine",
            "How many requests did another engine save?",
            "named after the engine that failed. Only before the first byte, and only while retries are affordable.",
            "reqps",
            6,
            (Query(attempts.retries(at), "{{engine}}"),),
            nothing="Nothing was tried again yet",
        ),
        graph(
            "Ejections by engine",
            "Which engine is taken out again and again?",
            "how often within the window, not for how long: Engine states shows that.",
            "short",
            6,
            (Query(attempts.ejections(at), "{{engine}}"),),
            nothing="No engine was ejected yet",
        ),
    )


def itself(choices: Choices) -> tuple[Panel, ...]:
    """Its workers, its event loop, and what looking at it costs."""
    at = choices.at_each_point
    return (
        graph(
            "Workers",
            "Do workers die or hang at their start?",
            "the value at each scrape: one that is replaced within seconds may not show.",
            "short",
            8,
            (Query(health.workers(at), "live"), Query(health.workers_expected(at), "expected")),
            nothing="No gateway",
            colours=(("live", GREEN), ("expected", GREY)),
        ),
        graph(
            "Lag of the event loop",
            "Is the gateway too busy to be on time?",
            "measured twice a second in each worker: a shorter stall is seldom met. A busy machine looks the same.",
            "s",
            8,
            tuple(Query(health.loop_lag(at, q), name) for q, name in palette.QUANTILE_NUMBERS),
            nothing="No gateway",
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
            (Query(health.scrape_seconds(at), "{{vm}}"),),
            nothing="No gateway",
            thresholds=Thresholds.limit(settings.SCRAPE_TIMEOUT_SECONDS),
        ),
    )


def edge(choices: Choices) -> tuple[Panel, ...]:
    """nginx, keys, and labels that ran out."""
    at = choices.at_each_point
    return (
        graph(
            "Requests at the door and at the gateway",
            "How much does nginx answer by itself?",
            "nginx counts everything: Grafana, health checks, refusals. It does not say which; its log does.",
            "reqps",
            6,
            (Query(stack.nginx_requests(at), "nginx"), Query(traffic.finished(at), "gateway")),
            colours=(("nginx", GREY), ("gateway", BLUE)),
        ),
        graph(
            "Connections at the door",
            "How many clients hold a connection, and does nginx drop any?",
            "the value at each scrape. dropped is per second: its limit of connections was reached.",
            "short",
            6,
            (
                Query(stack.nginx_connections(at, "reading"), "asking"),
                Query(stack.nginx_connections(at, "writing"), "answered"),
                Query(stack.nginx_connections(at, "waiting"), "kept alive"),
                Query(stack.nginx_dropped(at), "dropped"),
            ),
            nothing="No nginx in this stack",
            colours=(("asking", ORANGE), ("answered", BLUE), ("kept alive", GREY), ("dropped", RED)),
        ),
        graph(
            "Turned away for their key",
            "Is somebody guessing keys, or was one revoked that is still in use?",
            "not by whom: an address is in nginx' log alone.",
            "reqps",
            6,
            (Query(health.turned_away(at), "{{reason}}"),),
            nothing="Nobody was turned away yet",
        ),
        graph(
            "Requests without a series of their own",
            "Are there more keys or models than the gateway keeps apart?",
            "they are counted under `other`: the totals are right, their own numbers are missing.",
            "reqps",
            6,
            (Query(health.overflow(at), "{{metric}}"),),
            nothing="No gateway",
        ),
    )

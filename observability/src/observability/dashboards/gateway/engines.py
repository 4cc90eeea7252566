"""Rows of the Gateway dashboard on engines as the gateway sees them."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import GREEN, GREY, Key, Panel, Query, Thresholds, graph, table, timeline
from observability.queries import extremes
from observability.queries.gateway import engines, history
from observability.variables import Variables

# The values of `engines.state_code`.
STATE_MAPPINGS = tuple((code, state, palette.STATES[state]) for code, state in enumerate(engines.STATES, start=1))
_NO_GATEWAY = "Gateway not scraped"


def states(variables: Variables) -> tuple[Panel, ...]:
    """Whether engines can answer, what they serve, and how the load is spread."""
    return (
        timeline(
            "Engine states",
            "Which engines can answer, and since when?",
            "as the gateway sees them through its one-token probe; the launcher's /status says why one failed. Over "
            "long ranges each bar shows the worst state in it.",
            "none", 7, (Query(extremes.engine_state(variables.per_cell), "{{engine}} {{vm}}"),),
            no_value=_NO_GATEWAY, value_mappings=STATE_MAPPINGS, minimum=None, drilldown=links.ENGINE,
            step_seconds=extremes.STEP_SECONDS,
        ),
        table(
            "Models by engine",
            "Which engine serves which model?",
            "from the engine's own list, which is kept while it is down; models without a series of their own are "
            "(unknown model).",
            "none", 10, (Query(engines.models_by_engine(variables.now), "State"),),
            no_value="No engine has listed its models", value_mappings=((0, "gone", GREY), (1, "served", GREEN)),
            keys=(
                Key("model", "Model", links.GATEWAY, "model"),
                Key("engine", "Engine"),
                Key("kind", "Kind"),
                Key("vm", "VM", width=80),
            ),
        ),
        graph(
            "Upstream requests by engine",
            "How is the load spread over the engines?",
            "the number of requests, not their size: one engine may have the long ones.",
            "reqps", 7, (Query(engines.attempts_by_engine(variables.per_cell), "{{engine}}"),),
            no_value=_NO_GATEWAY, stacked=True, step_seconds=history.STEP_SECONDS,
        ),
    )  # fmt: skip


def attempts(variables: Variables) -> tuple[Panel, ...]:
    """Which engine fails, and how the gateway reacts."""
    interval = variables.per_interval
    return (
        graph(
            "Upstream requests by result",
            "How do attempts at engines end?",
            "a retried request counts twice. rejected: invalid for the engine; busy: the engine is full.",
            "reqps", 6, (Query(engines.attempts_by_result(variables.per_cell), "{{result}}"),),
            no_value=_NO_GATEWAY, colours=palette.ATTEMPTS, stacked=True, step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Upstream error rate by engine",
            "Which engine is at fault?",
            "a share of the attempts at that engine; excludes client errors and cancelled requests.",
            "percentunit", 6, (Query(engines.failed_attempt_share(variables.per_cell), "{{engine}}"),),
            no_value="No data: no traffic, or the gateway is not scraped",
            thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT), step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Upstream retries by engine",
            "How many requests were retried on another engine?",
            "by the engine that failed. Only before the first byte, and within the retry budget.",
            "reqps", 6, (Query(engines.retries(variables.per_cell), "{{engine}}"),), no_value=_NO_GATEWAY,
            step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Upstream outlier ejections",
            "Which engine is ejected repeatedly?",
            "the number within the window, not the duration: see Engine states.",
            "short", 6, (Query(engines.ejections(interval), "{{engine}}"),), no_value=_NO_GATEWAY,
        ),
    )  # fmt: skip


def probes(variables: Variables) -> Panel:
    """The gateway's own requests to engines."""
    return graph(
        "Engine probes per minute",
        "Do the gateway's own one-token probes pass, and how many are they?",
        "probes are no requests of clients and cost one token each; engines count them among theirs.",
        "short", 12, (Query(engines.probes(variables.per_interval), "{{engine}} {{result}}"),),
        no_value=_NO_GATEWAY,
    )  # fmt: skip

"""Rows of the Gateway dashboard on engines as the gateway sees them."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import (
    GREEN,
    GREY,
    Key,
    Panel,
    Query,
    Thresholds,
    graph,
    table,
    timeline,
)
from observability.queries.gateway import engines
from observability.variables import Variables

# What `engines.state_code` answers, in words.
STATE_MAPPINGS = tuple((code, state, palette.STATES[state]) for code, state in enumerate(engines.STATES, start=1))


def states(variables: Variables) -> tuple[Panel, ...]:
    """Whether they can answer, and what comes of asking them."""
    interval = variables.per_interval
    return (
        timeline(
            "Engine states",
            "Which engines can answer, and since when?",
            "as the gateway sees them, by its own one-token probe; why one failed is told by its launcher's /status.",
            "none",
            7,
            (Query(engines.state_code(interval), "{{engine}} {{vm}}"),),
            no_value="The gateway knows no engine",
            value_mappings=STATE_MAPPINGS,
            minimum=None,
            drilldown=links.ENGINE,
        ),
        table(
            "Models by engine",
            "Which engine serves which model?",
            "by the engine's own list, which is kept while it is away; models beyond the sixth are one row, other.",
            "none",
            10,
            (Query(engines.models_by_engine(variables.now), "State"),),
            no_value="No engine has said what it serves",
            value_mappings=((0, "gone", GREY), (1, "served", GREEN)),
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
            (Query(engines.attempts_by_engine(interval), "{{engine}}"),),
            stacked=True,
        ),
    )


def attempts(variables: Variables) -> tuple[Panel, ...]:
    """Which engine is at fault, and what the gateway did about it."""
    interval = variables.per_interval
    return (
        graph(
            "Attempts by result",
            "What comes of asking an engine?",
            "a request that is tried again counts twice. rejected: the engine found it wrong; busy: it is full.",
            "reqps",
            6,
            (Query(engines.attempts_by_result(interval), "{{result}}"),),
            colours=palette.ATTEMPTS,
            stacked=True,
        ),
        graph(
            "Failing attempts by engine",
            "Which engine is at fault?",
            "a share of the attempts at that engine; what the client caused or cancelled is left out.",
            "percentunit",
            6,
            (Query(engines.failed_attempt_share(interval), "{{engine}}"),),
            no_value="No traffic",
            thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT),
            smooth=True,
        ),
        graph(
            "Retries by engine",
            "How many requests did another engine save?",
            "named after the engine that failed. Only before the first byte, and only while retries are affordable.",
            "reqps",
            6,
            (Query(engines.retries(interval), "{{engine}}"),),
            no_value="Nothing was tried again yet",
        ),
        graph(
            "Ejections by engine",
            "Which engine is taken out again and again?",
            "how often within the window, not for how long: Engine states shows that.",
            "short",
            6,
            (Query(engines.ejections(interval), "{{engine}}"),),
            no_value="No engine was ejected yet",
        ),
    )

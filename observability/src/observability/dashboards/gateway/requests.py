"""Rows of the Gateway dashboard on requests: by route, by outcome, latency."""

from observability import links, settings
from observability.dashboards import palette
from observability.dashboards.gateway import latency as latency_panels
from observability.panel import BLUE, GREEN, ORANGE, Panel, Query, Thresholds, graph
from observability.promql import Scope
from observability.queries.gateway import history
from observability.variables import Variables

_NO_DATA = "No data: no traffic, or the gateway is not scraped"


def by_route(variables: Variables) -> tuple[Panel, ...]:
    """Which part of the API is used, fails or is slow."""
    cell = variables.per_cell
    return (_by_route(cell), _failed_by_route(cell), _duration_by_route(cell))


def outcomes(variables: Variables) -> tuple[Panel, ...]:
    """How requests end."""
    cell = variables.per_cell
    return (_outcomes(cell), _codes(cell), _duration(cell))


def latency(variables: Variables) -> tuple[Panel, ...]:
    """How long clients wait for tokens, and who causes it."""
    return (latency_panels.first_token(variables), latency_panels.per_token(variables), added_latency(variables))


def added_latency(variables: Variables) -> Panel:
    """The gateway's share of the time to first token."""
    return graph(
        "Latency added by the gateway",
        "Is a slow first token caused by the gateway or the engine? The difference of the medians, by model.",
        "vLLM only, without models that another kind of engine serves too. Medians are interpolated within buckets, "
        "and vLLM includes requests without streaming: a few milliseconds below zero are noise.",
        "s",
        8,
        (Query(history.added_latency(variables.per_cell), "{{model}}"),),
        no_value="No model served only by vLLM",
        thresholds=Thresholds.limit(settings.ADDED_LATENCY_LIMIT_SECONDS),
        minimum=None,
        step_seconds=history.STEP_SECONDS,
        part="vllm",
    )


def _by_route(cell: Scope) -> Panel:
    return graph(
        "Requests by route",
        "Which part of the API is used?",
        "counted when a request ends; health checks are excluded.",
        "reqps", 8, (Query(f"{history.request_rate(cell, 'route')} > 0", "{{route}}"),),
        no_value=_NO_DATA, stacked=True, step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _failed_by_route(cell: Scope) -> Panel:
    return graph(
        "Error rate by route",
        "Which part of the API fails?",
        "a share of successes and server-side failures: at low traffic a single request weighs a lot.",
        "percentunit", 8, (Query(history.failed_share(cell, "route"), "{{route}}"),),
        no_value=_NO_DATA, thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT), step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _duration_by_route(cell: Scope) -> Panel:
    return graph(
        "E2E latency by route, p95",
        "Which part of the API is slow?",
        "to the last byte: long answers take long by themselves. Interpolated within buckets up to 300 s.",
        "s", 8, (Query(history.latency(cell, history.DURATION_BY_ROUTE, 0.95, "route"), "{{route}}"),),
        no_value=_NO_DATA, step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _outcomes(cell: Scope) -> Panel:
    return graph(
        "Requests by outcome",
        "How do requests end?",
        "a request counts when it ends: long streams appear late. Excludes what nginx rejected.",
        "reqps", 8, (Query(history.request_rate(cell, "outcome"), "{{outcome}}"),),
        no_value=_NO_DATA, colours=palette.OUTCOMES, stacked=True, step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _codes(cell: Scope) -> Panel:
    return graph(
        "Responses by status code",
        "Which status codes do clients get?",
        "a stream that breaks has already sent 200: see its outcome. 499: the client cancelled before the response.",
        "reqps", 8, (Query(history.request_rate(cell, "code"), "{{code}}"),),
        no_value=_NO_DATA, colours=palette.CODES, stacked=True, step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _duration(cell: Scope) -> Panel:
    return graph(
        "E2E latency, streaming and non-streaming",
        "How long does a complete answer take?",
        "to the last byte: long answers take long by themselves. Interpolated within buckets up to 300 s.",
        "s", 8,
        tuple(
            Query(history.latency(cell, history.DURATION_BY_ROUTE, q, stream=stream), f"{kind} {name}")
            for kind, stream in (("streaming", "true"), ("non-streaming", "false"))
            for q, name in palette.QUANTILE_NUMBERS[:2]
        ),
        colours=(
            ("streaming p50", BLUE), ("streaming p95", palette.PURPLE),
            ("non-streaming p50", GREEN), ("non-streaming p95", ORANGE),
        ),
        no_value=_NO_DATA, step_seconds=history.STEP_SECONDS, drilldown=links.ENGINE,
    )  # fmt: skip

"""Latency of requests, on the Gateway dashboard and on the Overview: quantiles over time, and distributions."""

from observability import downsampling, links, settings
from observability.dashboards import palette
from observability.panel import Panel, Query, Thresholds, graph, heatmap
from observability.queries.gateway import history
from observability.variables import Variables

_MINUTES = f"Counted {downsampling.STEPS}; interpolated within buckets."
_NO_DATA = "No data: no traffic, or the gateway is not scraped"
_YESTERDAY = "1d"


def latency(variables: Variables) -> tuple[Panel, ...]:
    """How long clients wait."""
    return (_e2e(variables), first_token(variables), per_token(variables))


def distributions(variables: Variables) -> tuple[Panel, ...]:
    """How latencies are spread: two groups of requests have no common quantile."""
    cell = variables.per_cell
    return (
        heatmap(
            "E2E latency distribution",
            "Is the latency of all requests alike, or are there groups of fast and slow ones?",
            "each cell counts the requests between two bounds; above 300 s is one cell.",
            "s", 12, (Query(history.buckets(cell, history.DURATION), "{{le}}"),), no_value=_NO_DATA,
        ),
        heatmap(
            "TTFT distribution",
            "Do all streams wait alike for the first token, or do some queue?",
            "each cell counts the streams between two bounds.",
            "s", 12, (Query(history.buckets(cell, history.TTFT), "{{le}}"),), no_value=_NO_DATA,
        ),
    )  # fmt: skip


def first_token(variables: Variables) -> Panel:
    """The time to first token, by quantile."""
    return _quantiles(
        variables, "Time to first token", "How long do clients wait for the first token?",
        "only streams that got a first token; those that timed out before it are in Timeouts.",
        history.TTFT, palette.QUANTILE_NUMBERS[:2], Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS), links.ENGINE,
    )  # fmt: skip


def per_token(variables: Variables) -> Panel:
    """The time per output token, by quantile."""
    return _quantiles(
        variables, "Time per output token", "How fast is the output after the first token?",
        "the mean of each request, so that pauses within an answer are hidden; excludes answers of one token and "
        "broken streams.",
        history.TPOT, palette.QUANTILE_NUMBERS[:2], Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS),
        links.ENGINE,
    )  # fmt: skip


def _e2e(variables: Variables) -> Panel:
    cell = variables.per_cell
    return graph(
        "E2E latency",
        "How long does a complete answer take, and how long did it yesterday?",
        f"to the last byte: long answers take long by themselves. {_MINUTES}",
        "s", 8,
        (
            *(Query(history.latency(cell, history.DURATION, q), name) for q, name in palette.QUANTILE_NUMBERS[:2]),
            Query(
                history.latency(cell.before(_YESTERDAY), history.DURATION, 0.95), "p95 yesterday",
                dashed=True, colour=palette.OTHER_DAY,
            ),
        ),
        colours=palette.QUANTILES, no_value=_NO_DATA, step_seconds=history.STEP_SECONDS,
        drilldown=links.GATEWAY,
    )  # fmt: skip


def _quantiles(
    variables: Variables,
    title: str,
    question: str,
    blind_spot: str,
    histogram: str,
    quantiles: tuple[tuple[float, str], ...],
    thresholds: Thresholds,
    drilldown: str,
) -> Panel:
    return graph(
        title, question, f"{blind_spot} {_MINUTES}", "s", 8,
        tuple(Query(history.latency(variables.per_cell, histogram, q), name) for q, name in quantiles),
        thresholds=thresholds, colours=palette.QUANTILES, no_value=_NO_DATA,
        step_seconds=history.STEP_SECONDS, drilldown=drilldown,
    )  # fmt: skip

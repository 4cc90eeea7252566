"""Rows of the Overview on requests: latency, traffic, losses, distributions."""

from observability import downsampling, links
from observability.dashboards import palette
from observability.panel import BLUE, GREEN, Panel, Query, graph
from observability.promql import Scope
from observability.queries.gateway import history, requests
from observability.variables import Variables

_STEPS = f"Counted {downsampling.STEPS}"
_MINUTES = f"Counted {downsampling.STEPS}; interpolated within buckets."
_NO_DATA = "No data: no traffic, or the gateway is not scraped"
_YESTERDAY, _LAST_WEEK = "1d", "7d"


def traffic(variables: Variables) -> tuple[Panel, ...]:
    """How many requests there are, how they end, and how many tokens they take."""
    cell = variables.per_cell
    return (_outcomes(cell), _not_ok(cell), _tokens(cell))


def losses(variables: Variables) -> tuple[Panel, ...]:
    """Cancellations, timeouts, discarded output."""
    interval = variables.per_interval
    return (_cancellations(interval), _timeouts(interval), _discarded(interval))


def _outcomes(cell: Scope) -> Panel:
    return graph(
        "Requests by outcome",
        "How many requests are there, how do they end, and is that usual for the hour?",
        f"a request counts when it ends: long streams appear late. Excludes what nginx rejected. {_STEPS}.",
        "reqps", 8,
        (
            Query(history.request_rate(cell, "outcome"), "{{outcome}}"),
            Query(
                history.request_rate(cell.before(_YESTERDAY)), "yesterday", dashed=True, colour=palette.OTHER_DAY
            ),
            Query(
                history.request_rate(cell.before(_LAST_WEEK)), "last week", dashed=True, colour=palette.OTHER_WEEK
            ),
        ),
        colours=palette.OUTCOMES, stacked=True, no_value=_NO_DATA, step_seconds=history.STEP_SECONDS,
        drilldown=links.GATEWAY,
    )  # fmt: skip


def _not_ok(cell: Scope) -> Panel:
    return graph(
        "Non-OK share",
        "What share of requests does not succeed, and with which outcome?",
        "without client errors and rate limits, which would dilute it; cancelled requests are included. At low traffic "
        "a single request weighs a lot.",
        "percentunit", 8,
        (Query(history.not_ok_share(cell), "{{outcome}}"),),
        colours=palette.OUTCOMES[1:], no_value=_NO_DATA, step_seconds=history.STEP_SECONDS,
        drilldown=links.GATEWAY,
    )  # fmt: skip


def _tokens(cell: Scope) -> Panel:
    return graph(
        "Token throughput (tok/s)",
        "How many tokens go in and out, and how many of them are cached or reasoning?",
        "counted when a request ends, from the engine's usage; interrupted streams have none and are in Discarded "
        "output. Cached is part of input, reasoning of output.",
        "tokens/s", 8,
        (
            Query(history.token_rate(cell, "input"), "input", colour=BLUE),
            Query(history.token_rate(cell, "cached_input"), "of it cached", dashed=True, colour=palette.CYAN),
            Query(history.token_rate(cell, "output"), "output", colour=GREEN),
            Query(history.token_rate(cell, "reasoning"), "of it reasoning", dashed=True, colour=palette.LIME),
        ),
        no_value=_NO_DATA, step_seconds=history.STEP_SECONDS,
    )  # fmt: skip


def _cancellations(interval: Scope) -> Panel:
    return graph(
        "Cancellations",
        "Do clients cancel, and before or after the first token?",
        "a cancelled request and a broken connection look the same. Not by model.",
        "reqps", 8, (Query(requests.cancellations(interval), "{{phase}}"),),
        no_value="Gateway not scraped", colours=palette.PHASES, stacked=True,
    )  # fmt: skip


def _timeouts(interval: Scope) -> Panel:
    return graph(
        "Timeouts",
        "Where do requests hang?",
        "shows the phase, not the engine.",
        "reqps", 8, (Query(requests.timeouts(interval), "{{phase}}"),),
        no_value="Gateway not scraped", colours=palette.PHASES, stacked=True,
    )  # fmt: skip


def _discarded(interval: Scope) -> Panel:
    return graph(
        "Discarded output",
        "How much output did nobody read to the end?",
        "counted in events, since an unfinished stream reports no usage: an event can be several tokens.",
        "events/s", 8, (Query(requests.wasted_tokens(interval), "{{reason}}"),),
        no_value="Gateway not scraped", colours=palette.OUTCOMES, stacked=True,
    )  # fmt: skip

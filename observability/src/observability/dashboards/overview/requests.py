"""Rows of the Overview on requests: latency, traffic and losses."""

from observability import settings
from observability.dashboards import palette
from observability.dashboards.gateway.requests import added_latency
from observability.panel import (
    Panel,
    Query,
    Thresholds,
)
from observability.promql import Scope
from observability.queries.gateway import requests
from observability.variables import Variables


def latency(variables: Variables) -> tuple[Panel, ...]:
    """How long readers wait."""
    interval = variables.per_interval
    return (_first_token(interval), _per_token(interval), added_latency(variables))


def traffic(variables: Variables) -> tuple[Panel, ...]:
    """How many requests there are, how they end, and how much output they produce."""
    interval = variables.per_interval
    return (_requests(interval), _shares(interval), _tokens(interval))


def losses(variables: Variables) -> tuple[Panel, ...]:
    """Cancellations, timeouts, wasted output."""
    interval = variables.per_interval
    return (_cancellations(interval), _timeouts(interval), _wasted(interval))


def _first_token(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Time to first token",
        question="How long does a reader wait for the first word?",
        blind_spot="streams only, and only those that got a first token; what timed out before is in Timeouts.",
        unit="s",
        width=8,
        queries=tuple(Query(requests.time_to_first_token(interval, q), name) for q, name in palette.QUANTILE_NUMBERS),
        thresholds=Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS),
        colours=palette.QUANTILES,
        smooth=True,
    )


def _per_token(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Time per output token",
        question="How fast does the text appear, once it has begun?",
        blind_spot="each request counts with its mean, so that a pause within an answer does not show; "
        "answers of one token and broken streams are left out.",
        unit="s",
        width=8,
        queries=tuple(Query(requests.time_per_output_token(interval, q), name) for q, name in palette.QUANTILE_NUMBERS),
        thresholds=Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS),
        colours=palette.QUANTILES,
        smooth=True,
    )


def _requests(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Requests by outcome",
        question="How much comes in, and how does it end?",
        blind_spot="a request counts when it ends: long streams show late. What nginx refused is not in it.",
        unit="reqps",
        width=8,
        queries=(Query(requests.by_outcome(interval), "{{outcome}}"),),
        colours=palette.OUTCOMES,
        stacked=True,
    )


def _shares(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Share of requests by outcome, without ok",
        question="Which way do requests go wrong, and how many of them?",
        blind_spot="a share of all that finished, cancelled ones included; with little traffic one request is much.",
        unit="percentunit",
        width=8,
        queries=(Query(requests.share_by_outcome(interval), "{{outcome}}"),),
        colours=palette.OUTCOMES[1:],
        smooth=True,
    )


def _tokens(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Output tokens per second",
        question="How much text do we produce, for which model?",
        blind_spot="tokens count when their request ends, by the engine's own usage; streams that were cut short have "
        "none and are in Wasted output.",
        unit="tokens/s",
        width=8,
        queries=(Query(requests.output_tokens(interval, "model"), "{{model}}"),),
        stacked=True,
    )


def _cancellations(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Cancellations",
        question="Do clients leave, and before or after the first word?",
        blind_spot="a client that left and one whose network broke look the same; not by model.",
        unit="reqps",
        width=8,
        queries=(Query(requests.cancellations(interval), "{{phase}}"),),
        no_value="No gateway",
        colours=palette.PHASES,
        stacked=True,
    )


def _timeouts(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Timeouts",
        question="Where do requests hang?",
        blind_spot="says in which phase the time ran out, not which engine was at fault.",
        unit="reqps",
        width=8,
        queries=(Query(requests.timeouts(interval), "{{phase}}"),),
        no_value="No gateway",
        colours=palette.PHASES,
        stacked=True,
    )


def _wasted(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Wasted output",
        question="How much of the engines' work did nobody read to the end?",
        blind_spot="counted in events, since an unfinished stream has no usage: one event can be several tokens.",
        unit="events/s",
        width=8,
        queries=(Query(requests.wasted_tokens(interval), "{{reason}}"),),
        no_value="Nothing wasted yet",
        colours=palette.OUTCOMES,
        stacked=True,
    )

"""Rows of the Overview on requests: latency, traffic and losses."""

from observability import settings
from observability.dashboards import palette
from observability.dashboards.gateway.requests import added_latency
from observability.panel import Panel, Query, Thresholds
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
        question="How long do clients wait for the first token?",
        blind_spot="only streams that got a first token; those that timed out before it are in Timeouts.",
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
        question="How fast is the output after the first token?",
        blind_spot="the mean of each request, so that pauses within an answer are hidden; "
        "excludes answers of one token and broken streams.",
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
        question="How many requests are there, and how do they end?",
        blind_spot="a request counts when it ends: long streams appear late. Excludes what nginx rejected.",
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
        question="What share of requests fails, and with which outcome?",
        blind_spot="a share of all finished requests, cancelled ones included; at low traffic a single request "
        "weighs a lot.",
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
        question="How much output is there, by model?",
        blind_spot="counted when a request ends, from the engine's usage; interrupted streams have none and are in "
        "Wasted output.",
        unit="tokens/s",
        width=8,
        queries=(Query(requests.output_tokens(interval, "model"), "{{model}}"),),
        stacked=True,
    )


def _cancellations(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Cancellations",
        question="Do clients cancel, and before or after the first token?",
        blind_spot="a cancelled request and a broken connection look the same. Not by model.",
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
        blind_spot="shows the phase, not the engine.",
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
        question="How much output did nobody read to the end?",
        blind_spot="counted in events, since an unfinished stream reports no usage: an event can be several tokens.",
        unit="events/s",
        width=8,
        queries=(Query(requests.wasted_tokens(interval), "{{reason}}"),),
        no_value="Nothing wasted yet",
        colours=palette.OUTCOMES,
        stacked=True,
    )

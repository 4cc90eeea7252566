"""Rows of the Gateway dashboard on requests: by route, by model, by outcome, latency."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import Key, Panel, Query, Thresholds, graph, table
from observability.promql import Scope
from observability.queries.gateway import requests
from observability.variables import Variables


def by_route(variables: Variables) -> tuple[Panel, ...]:
    """Which part of the API is used, fails or is slow."""
    interval = variables.per_interval
    return (_by_route(interval), _failed_by_route(interval), _duration_by_route(interval))


def outcomes(variables: Variables) -> tuple[Panel, ...]:
    """How requests end."""
    interval = variables.per_interval
    return (_outcomes(interval), _codes(interval), _duration(interval))


def latency(variables: Variables) -> tuple[Panel, ...]:
    """How fast models answer."""
    interval = variables.per_interval
    return (_first_token(interval), _per_token(interval), added_latency(variables))


def models(variables: Variables) -> Panel:
    """Each model's traffic, failures and latency."""
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? Click a model to filter by it.",
        "over the selected time range. `none`: the request named no model; `other`: a model that no engine serves.",
        "short",
        24,
        model_columns(variables),
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )


def model_columns(variables: Variables, *, brief: bool = False) -> tuple[Query, ...]:
    """The columns of a table of models; `brief` for a narrow table."""
    full_range = variables.full_range
    columns = (
        Query(requests.finished(full_range, "model"), "Requests", "reqps"),
        Query(requests.failed_share(full_range, "model"), "Failed", "percentunit"),
        Query(requests.cancelled_share(full_range, "model"), "Cancelled", "percentunit"),
        Query(requests.time_to_first_token(full_range, 0.95, "model"), "First token p95", "s"),
        Query(requests.time_per_output_token(full_range, 0.95, "model"), "Per token p95", "s"),
        Query(requests.output_tokens(full_range, "model"), "Output", "tokens/s"),
        Query(requests.in_flight(variables.now, "model"), "In flight"),
    )
    rare = ("Cancelled", "Per token p95")
    return tuple(column for column in columns if not (brief and column.legend in rare))


def added_latency(variables: Variables) -> Panel:
    """The gateway's share of the time to first token."""
    return graph(
        "Latency added by the gateway",
        "Is a slow first token caused by the gateway or the engine? The difference of the medians, by model.",
        "vLLM only, without models that another kind of engine serves too. Medians are interpolated within buckets, "
        "and vLLM includes requests without streaming: a few milliseconds below zero are noise.",
        "s",
        8,
        (Query(requests.added_latency(variables.per_interval), "{{model}}"),),
        no_value="No model served only by vLLM",
        thresholds=Thresholds.limit(settings.ADDED_LATENCY_LIMIT_SECONDS),
        minimum=None,
        smooth=True,
    )


def _by_route(interval: Scope) -> Panel:
    return graph(
        "Requests by route",
        "Which part of the API is used?",
        "counted when a request ends; health checks are excluded.",
        "reqps",
        8,
        (Query(f"{requests.finished(interval, 'route')} > 0", "{{route}}"),),
        stacked=True,
    )


def _failed_by_route(interval: Scope) -> Panel:
    return graph(
        "Failures by route",
        "Which part of the API fails?",
        "a share of successes and server-side failures: at low traffic a single request weighs a lot.",
        "percentunit",
        8,
        (Query(requests.failed_share(interval, "route"), "{{route}}"),),
        thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT),
        smooth=True,
    )


def _duration_by_route(interval: Scope) -> Panel:
    return graph(
        "Duration by route, p95",
        "Which part of the API is slow?",
        "to the last byte: long answers take long by themselves. Interpolated within buckets up to 300 s.",
        "s",
        8,
        (Query(requests.duration(interval, 0.95, "route"), "{{route}}"),),
        smooth=True,
    )


def _outcomes(interval: Scope) -> Panel:
    return graph(
        "Requests by outcome",
        "How do requests end?",
        "a request counts when it ends: long streams appear late. Excludes what nginx rejected.",
        "reqps",
        8,
        (Query(requests.by_outcome(interval), "{{outcome}}"),),
        colours=palette.OUTCOMES,
        stacked=True,
    )


def _codes(interval: Scope) -> Panel:
    return graph(
        "Answers by status code",
        "Which status codes do clients get?",
        "a stream that breaks has already sent 200: see its outcome. 499: the client cancelled before the response.",
        "reqps",
        8,
        (Query(requests.by_code(interval), "{{code}}"),),
        colours=palette.CODES,
        stacked=True,
    )


def _duration(interval: Scope) -> Panel:
    return graph(
        "Duration, streams and plain requests",
        "How long does a complete answer take?",
        "to the last byte: long answers take long by themselves. Interpolated within buckets up to 300 s.",
        "s",
        8,
        tuple(
            Query(requests.duration(interval, q, stream=stream), f"{kind} {name}")
            for kind, stream in (("streams", "true"), ("plain", "false"))
            for q, name in palette.QUANTILE_NUMBERS[:2]
        ),
        colours=(
            ("streams p50", "light-blue"), ("streams p95", "blue"),
            ("plain p50", "light-green"), ("plain p95", "green"),
        ),
        smooth=True,
    )  # fmt: skip


def _first_token(interval: Scope) -> Panel:
    return graph(
        "Time to first token by model, p95",
        "Which model is slow to the first token?",
        "only streams that got a first token.",
        "s",
        8,
        (Query(requests.time_to_first_token(interval, 0.95, "model"), "{{model}}"),),
        thresholds=Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS),
        smooth=True,
        drilldown=links.ENGINE,
    )


def _per_token(interval: Scope) -> Panel:
    return graph(
        "Time per output token by model, p95",
        "Which model generates slowly?",
        "the mean of each request: pauses within an answer are hidden. Excludes answers of one token.",
        "s",
        8,
        (Query(requests.time_per_output_token(interval, 0.95, "model"), "{{model}}"),),
        thresholds=Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS),
        smooth=True,
        drilldown=links.ENGINE,
    )

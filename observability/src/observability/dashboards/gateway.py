"""Gateway: who is served how, where it goes wrong, and is the gateway itself well?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards import gateway_health, palette
from observability.dashboards.tiles import tile
from observability.panel import GREEN, RED, Key, Panel, Query, Thresholds, graph, table
from observability.queries import engines, gateway, health, traffic
from observability.variables import Choices

CHOICES = Choices("vm", "model", "engine")
_AT, _PAGE, _NOW = CHOICES.at_each_point, CHOICES.over_the_page, CHOICES.now


def dashboard() -> Dashboard:
    """By route and model; then what was lost; then engines as the gateway sees them; then the gateway itself."""
    return Dashboard(
        links.GATEWAY,
        links.TITLES[links.GATEWAY],
        "Who is served how, where does it go wrong, and is the gateway itself well?",
        (
            Row("", 4, _tiles()),
            Row("By route", 8, (_by_route(), _failed_by_route(), _duration_by_route())),
            Row("By model", 7, (_by_model(),)),
            Row("How requests end", 8, (_outcomes(), _codes(), _long())),
            Row("How fast", 8, (_first_token(), _per_token(), added_latency(CHOICES))),
            Row("What was lost", 8, gateway_health.losses(CHOICES)),
            Row("Engines, as the gateway sees them", 8, gateway_health.engines(CHOICES)),
            Row("", 7, gateway_health.failing_engines(CHOICES)),
            Row("Is the gateway itself well?", 7, gateway_health.itself(CHOICES)),
            Row("The edge, and who is turned away", 7, gateway_health.edge(CHOICES)),
        ),
        CHOICES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        tile(
            "Requests",
            "How many requests end each second, over the last minute?",
            "a long stream counts when it ends.",
            "reqps",
            traffic.finished(_NOW),
        ),
        tile(
            "Failed",
            "How many fail through no fault of the client, in the time shown?",
            "what clients caused or cancelled is left out, and what nginx refused.",
            "percentunit",
            traffic.failed_share(_PAGE),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            decimals=2,
            then="How requests end says which way; the gateway's log has a line for each, with its engine.",
        ),
        tile(
            "First token within 1 s",
            "How many readers see something within a second?",
            "streams only, and of those the ones that got a first token.",
            "percentunit",
            traffic.prompt_first_tokens(_PAGE, "1.0"),
            Thresholds.low_is_bad(0.9, 0.95),
            maximum=1,
            decimals=1,
            opens=links.ENGINE,
        ),
        tile(
            "Workers missing",
            "Do all workers live?",
            "one that hangs lives: see Lag of the event loop.",
            "short",
            health.workers_missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            nothing="No gateway",
            decimals=0,
            then="the log says why a worker ended: out of memory, or a time-out of gunicorn's own.",
        ),
        tile(
            "Lost with a worker",
            "Did requests vanish without an end, since the gateway started?",
            "only a killed worker loses requests; what nginx or the network lost is not known here.",
            "short",
            health.lost(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            nothing="No gateway",
            decimals=0,
        ),
        tile(
            "Lag of the event loop, p99",
            "Is the gateway too busy to be on time?",
            "measured twice a second in each worker: a shorter stall is seldom met.",
            "s",
            health.loop_lag(_PAGE, 0.99),
            Thresholds.high_is_bad(settings.LOOP_LAG_NOTABLE_SECONDS, settings.LOOP_LAG_LIMIT_SECONDS),
            nothing="No gateway",
            then="more workers (WORKERS), or a smaller machine's neighbour is at fault: see the CPU of the VM.",
        ),
    )


def _by_route() -> Panel:
    return graph(
        "Requests by route",
        "Which part of the API is used?",
        "counted when a request ends; health checks are not among them.",
        "reqps",
        8,
        (Query(f"{traffic.finished(_AT, 'route')} > 0", "{{route}}"),),
        stacked=True,
    )


def _failed_by_route() -> Panel:
    return graph(
        "Failures by route",
        "Which part of the API fails?",
        "a share of the requests that we are judged by: with little traffic one request is much.",
        "percentunit",
        8,
        (Query(traffic.failed_share(_AT, "route"), "{{route}}"),),
        thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT),
        smooth=True,
    )


def _duration_by_route() -> Panel:
    return graph(
        "Duration by route, p95",
        "Which part of the API is slow?",
        "until the last byte: a long answer takes long by itself. Interpolated within buckets, the last ends at 300 s.",
        "s",
        8,
        (Query(traffic.duration(_AT, 0.95, "route"), "{{route}}"),),
        smooth=True,
    )


def _by_model() -> Panel:
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? A click on it narrows this page down to it.",
        "over the whole time shown. `none` named no model, `other` is one that no engine serves.",
        "short",
        24,
        model_columns(CHOICES),
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )


def model_columns(choices: Choices, *, brief: bool = False) -> tuple[Query, ...]:
    """What a table of models shows; `brief` for half a page."""
    page = choices.over_the_page
    columns = (
        Query(traffic.finished(page, "model"), "Requests", "reqps"),
        Query(traffic.failed_share(page, "model"), "Failed", "percentunit"),
        Query(traffic.cancelled_share(page, "model"), "Cancelled", "percentunit"),
        Query(gateway.time_to_first_token(page, 0.95, "model"), "First token p95", "s"),
        Query(traffic.time_per_output_token(page, 0.95, "model"), "Per token p95", "s"),
        Query(gateway.output_tokens(page, "model"), "Output", "tokens/s"),
        Query(gateway.in_flight(choices.now, "model"), "In flight"),
    )
    rare = ("Cancelled", "Per token p95")
    return tuple(column for column in columns if not (brief and column.legend in rare))


def _outcomes() -> Panel:
    return graph(
        "Requests by outcome",
        "How do requests end?",
        "a request counts when it ends: long streams show late. What nginx refused is not in it.",
        "reqps",
        8,
        (Query(gateway.requests_by_outcome(_AT), "{{outcome}}"),),
        colours=palette.OUTCOMES,
        stacked=True,
    )


def _codes() -> Panel:
    return graph(
        "Answers by status code",
        "What do clients see?",
        "a stream that breaks has shown 200 before: its outcome tells. 499: the client left before an answer.",
        "reqps",
        8,
        (Query(traffic.by_code(_AT), "{{code}}"),),
        colours=palette.CODES,
        stacked=True,
    )


def _long() -> Panel:
    return graph(
        "Duration, streams and plain requests",
        "How long does a whole answer take?",
        "until the last byte: long answers take long by themselves. Interpolated within buckets, up to 300 s.",
        "s",
        8,
        tuple(
            Query(traffic.duration(_AT, q, stream=stream), f"{kind} {name}")
            for kind, stream in (("streams", "true"), ("plain", "false"))
            for q, name in palette.QUANTILE_NUMBERS[:2]
        ),
        colours=(
            ("streams p50", "light-blue"), ("streams p95", "blue"),
            ("plain p50", "light-green"), ("plain p95", "green"),
        ),
        smooth=True,
    )  # fmt: skip


def _first_token() -> Panel:
    return graph(
        "Time to first token by model, p95",
        "Which model makes its readers wait?",
        "streams only, and of those the ones that got a first token.",
        "s",
        8,
        (Query(gateway.time_to_first_token(_AT, 0.95, "model"), "{{model}}"),),
        thresholds=Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS),
        smooth=True,
        opens=links.ENGINE,
    )


def _per_token() -> Panel:
    return graph(
        "Time per output token by model, p95",
        "Which model writes slowly?",
        "each request counts with its mean: a pause within an answer does not show. Answers of one token are left out.",
        "s",
        8,
        (Query(traffic.time_per_output_token(_AT, 0.95, "model"), "{{model}}"),),
        thresholds=Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS),
        smooth=True,
        opens=links.ENGINE,
    )


def added_latency(choices: Choices) -> Panel:
    """What the gateway itself adds to the time to first token."""
    return graph(
        "Latency added by the gateway",
        "Is a slow first token ours or the engine's? The difference of the two medians, for each model.",
        "vLLM only, and no model that another kind of engine serves too. A median is interpolated within a bucket, and "
        "vLLM counts plain requests too, so that a few milliseconds below zero mean nothing.",
        "s",
        8,
        (Query(engines.added_latency(choices.at_each_point), "{{model}}"),),
        nothing="No model of vLLM alone",
        thresholds=Thresholds.limit(settings.ADDED_LATENCY_LIMIT_SECONDS),
        minimum=None,
        smooth=True,
    )

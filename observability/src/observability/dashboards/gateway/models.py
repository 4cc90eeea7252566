"""Models on the Gateway dashboard: a table of all, and each over time."""

from observability import downsampling, links, settings
from observability.panel import Key, Panel, Query, Thresholds, graph, table
from observability.queries.gateway import history, requests
from observability.variables import Variables

_NO_DATA = "No data: no traffic, or the gateway is not scraped"
_MINUTES = f"Counted {downsampling.STEPS}; interpolated within buckets."


def models(variables: Variables) -> Panel:
    """Each model's traffic, failures and latency."""
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? Click a model to filter by it.",
        "over the selected time range, except In flight. (no model): the request named none; (unknown model): no "
        "engine serves it.",
        "short",
        24,
        model_columns(variables),  # of at most MAX_MODEL_SERIES
        no_value=_NO_DATA,
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )


def model_columns(variables: Variables, *, brief: bool = False) -> tuple[Query, ...]:
    """The columns of a table of models; `brief` for the Overview, which refreshes more often."""
    full_range = variables.full_range
    columns = (
        Query(history.finished(full_range, "model"), "Requests"),
        Query(history.failed_share(full_range, "model"), "Error rate", "percentunit"),
        Query(history.cancelled_share(full_range, "model"), "Cancelled", "percentunit"),
        Query(history.latency(full_range, history.DURATION, 0.95, "model"), "E2E p95", "s"),
        Query(history.latency(full_range, history.TTFT, 0.95, "model"), "TTFT p95", "s"),
        Query(history.latency(full_range, history.TPOT, 0.95, "model"), "TPOT p95", "s"),
        Query(history.token_rate(full_range, "output", "model"), "Output", "tokens/s"),
        Query(requests.in_flight(variables.now, "model"), "In flight"),
    )
    rare = ("E2E p95", "TPOT p95")
    return tuple(column for column in columns if not (brief and column.legend in rare))


def over_time(variables: Variables) -> tuple[Panel, ...]:
    """Each model's requests, failures and output."""
    cell = variables.per_cell
    return (
        graph(
            "Requests by model",
            "Which model is used, and when?",
            "counted when a request ends.",
            "reqps", 8, (Query(history.request_rate(cell, "model"), "{{model}}"),),
            no_value=_NO_DATA, stacked=True, step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Error rate by model",
            "Which model fails?",
            "a share of successes and server-side failures: at low traffic a single request weighs a lot.",
            "percentunit", 8, (Query(history.failed_share(cell, "model"), "{{model}}"),),
            no_value=_NO_DATA, thresholds=Thresholds.limit(settings.ERROR_RATIO_LIMIT),
            step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Output throughput by model (tok/s)",
            "How much output does each model produce?",
            "counted when a request ends, from the engine's usage; interrupted streams have none.",
            "tokens/s", 8, (Query(history.token_rate(cell, "output", "model"), "{{model}}"),),
            no_value=_NO_DATA, stacked=True, step_seconds=history.STEP_SECONDS,
        ),
    )  # fmt: skip


def latency(variables: Variables) -> tuple[Panel, ...]:
    """How fast each model answers."""
    return (
        _by_model(variables, "E2E latency by model, p95", "Which model takes long to answer completely?",
                  "to the last byte: long answers take long by themselves.", history.DURATION, Thresholds()),
        _by_model(variables, "TTFT by model, p95", "Which model is slow to the first token?",
                  "only streams that got a first token.", history.TTFT,
                  Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS)),
        _by_model(variables, "TPOT by model, p95", "Which model generates slowly?",
                  "the mean of each request: pauses within an answer are hidden. Excludes answers of one token.",
                  history.TPOT, Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS)),
    )  # fmt: skip


def lengths(variables: Variables) -> tuple[Panel, ...]:
    """How long requests and answers are."""
    interval = variables.per_interval
    quantiles = ((0.5, "p50"), (0.95, "p95"))
    return (
        graph(
            "Prompt length",
            "How long are prompts, and do they fit the model's context?",
            "by the engine's count; requests without usage have none. Interpolated within buckets.",
            "tokens", 6, tuple(Query(requests.length(interval, "input", q), name) for q, name in quantiles),
            no_value=_NO_DATA, colours=(("p50", "blue"), ("p95", "orange")), smooth=True,
        ),
        graph(
            "Output length",
            "How long are answers?",
            "by the engine's count; interrupted streams have none. Interpolated within buckets.",
            "tokens", 6, tuple(Query(requests.length(interval, "output", q), name) for q, name in quantiles),
            no_value=_NO_DATA, colours=(("p50", "blue"), ("p95", "orange")), smooth=True,
        ),
    )  # fmt: skip


def _by_model(
    variables: Variables, title: str, question: str, blind_spot: str, histogram: str, thresholds: Thresholds
) -> Panel:
    return graph(
        title, question, f"{blind_spot} {_MINUTES}", "s", 8,
        (Query(history.latency(variables.per_cell, histogram, 0.95, "model"), "{{model}}"),),
        thresholds=thresholds, no_value=_NO_DATA, step_seconds=history.STEP_SECONDS, drilldown=links.ENGINE,
    )  # fmt: skip

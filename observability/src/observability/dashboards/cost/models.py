"""Rows of the Cost dashboard by model: what tokens and requests cost."""

from observability import links, settings
from observability.dashboards.cost.engines import DOLLARS, NO_PRICE, NO_PRICE_OR_DATA, TO_THE_STEP
from observability.panel import GREEN, GREY, ORANGE, Panel, Query, graph, stat
from observability.promql import TOO_LITTLE, or_too_little
from observability.queries import cost
from observability.queries.gateway import JOB
from observability.variables import Variables

_TOO_LITTLE = ((TOO_LITTLE, "Too little traffic", GREY),)
_TOKENS = "output-equivalent tokens: an input token weighs less than an output token (config/prices.yaml)."
_ENOUGH = f"Not shown for fewer than {settings.MIN_TOKENS:,} tokens. Follows VM and model."


def tiles(variables: Variables) -> tuple[Panel, ...]:
    """What the requests of the selected models cost in the selected time range."""
    full_range = variables.full_range
    tokens = cost.tokens_of_models(full_range)
    return (
        stat(
            "Cost by models",
            "What did the requests of the selected models cost?",
            f"idle time is not included. Follows VM and model; {TO_THE_STEP}",
            DOLLARS, cost.spent_by_models(full_range), no_value=NO_PRICE, job=JOB, width=6,
        ),
        stat(
            "Output-equivalent tokens",
            "How many tokens was that?",
            f"{_TOKENS} Follows VM and model; {TO_THE_STEP}",
            "short", tokens, no_value=NO_PRICE, job=JOB, width=6,
        ),
        stat(
            "Cost per 1M tokens (excl. idle)",
            "What did a million tokens cost in the selected time range, without idle time?",
            f"{_TOKENS} {_ENOUGH} {TO_THE_STEP[0].upper()}{TO_THE_STEP[1:]}",
            DOLLARS, or_too_little(cost.cost_per_million_tokens(full_range), tokens),
            no_value=NO_PRICE, decimals=2, value_mappings=_TOO_LITTLE, job=JOB, width=6,
        ),
        stat(
            "Cost per 1M tokens (incl. idle)",
            "What did a million tokens cost in the selected time range, idle time included?",
            "high at low traffic, since few tokens share the price of the machine. The idle and lost time of all "
            f"engines is shared out to models by what their requests cost. {_ENOUGH}",
            DOLLARS, or_too_little(cost.total_cost_per_million_tokens(full_range), tokens),
            no_value=NO_PRICE, decimals=2, value_mappings=_TOO_LITTLE, job=JOB, width=6,
        ),
    )  # fmt: skip


def graphs(variables: Variables) -> tuple[Panel, ...]:
    """What it costs over time, by model."""
    cell = variables.per_cell
    few = f"No line for fewer than {settings.MIN_TOKENS_PER_INTERVAL} tokens in an interval."
    return (
        graph(
            "Cost per hour by model",
            "How much does each model cost?",
            "requests only; idle time belongs to no model. Follows VM and model.",
            DOLLARS, 6, (Query(cost.hourly_cost_by_model(cell), "{{model}}"),),
            no_value=NO_PRICE_OR_DATA, stacked=True, step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Cost per 1M tokens",
            "Do tokens get cheaper under load?",
            f"output-equivalent tokens. The distance between the lines is idle time. {few} Follows VM and model.",
            DOLLARS, 6,
            (Query(cost.token_price(cell), "excl. idle"), Query(cost.total_token_price(cell), "incl. idle")),
            no_value="Too little traffic, or no price set", colours=(("excl. idle", GREEN), ("incl. idle", ORANGE)),
            step_seconds=cost.STEP_SECONDS, drilldown=links.ENGINE,
        ),
        graph(
            "Cost per 1M tokens by model",
            "Which model's tokens are expensive?",
            f"by the share of engine time that its requests used; idle time is not included. {few} Follows VM and "
            "model.",
            DOLLARS, 6, (Query(cost.token_price(cell, "model"), "{{model}}"),),
            no_value="Too little traffic, or no price set", step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Cost per 1,000 requests by model",
            "What do the requests of each model cost?",
            "a mean over all finished requests, failed and cancelled ones included. The log has each one's cost_usd. "
            "Dollars and requests are recorded up to a minute apart: around a burst, points are too high or too low. "
            "Follows VM and model.",
            DOLLARS, 6, (Query(cost.cost_per_thousand_requests(cell, "model"), "{{model}}"),),
            no_value="No traffic, or no price set", step_seconds=cost.STEP_SECONDS,
        ),
    )  # fmt: skip

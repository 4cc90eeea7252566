"""Rows of the Cost dashboard by key: who uses and spends how much, and how their requests go."""

from observability import links, settings
from observability.dashboards.cost.engines import DOLLARS, NO_PRICE, NO_PRICE_OR_DATA, TO_THE_STEP
from observability.panel import COUNT, Key, Panel, Query, Thresholds, graph, largest, stat, table
from observability.queries import cost, keys
from observability.queries.gateway import JOB
from observability.variables import Variables

_MOST_KEYS = 25
_OTHERS = "The first 60 keys have series of their own; all others are `other`."
_ERRORS = Thresholds.warn(1 - settings.AVAILABILITY_OBJECTIVE)


def tiles(variables: Variables) -> tuple[Panel, ...]:
    """What the selected keys used in the selected time range."""
    full_range = variables.full_range
    return (
        stat(
            "Cost by keys",
            "What did the requests of the selected keys cost?",
            f"idle time belongs to no key. Follows VM and key; {TO_THE_STEP}",
            DOLLARS, keys.spent(full_range), no_value=NO_PRICE, job=JOB,
        ),
        stat(
            "Requests by keys",
            "How many requests did they send?",
            f"when they end. Follows VM and key; {TO_THE_STEP}",
            COUNT, keys.finished(full_range), decimals=0, job=JOB,
        ),
        stat(
            "Output tokens by keys",
            "How many tokens were generated for them?",
            f"tokens of interrupted streams are unknown. Follows VM and key; {TO_THE_STEP}",
            "short", keys.tokens(full_range, "output"), job=JOB,
        ),
        stat(
            "Input tokens by keys",
            "How many tokens did they send?",
            f"of finished requests, cached ones included. Follows VM and key; {TO_THE_STEP}",
            "short", keys.tokens(full_range, "input"), job=JOB,
        ),
        stat(
            "Error rate of keys",
            "What share of their requests failed on the server's side?",
            f"excludes client errors and cancelled requests. Follows VM and key; {TO_THE_STEP}",
            "percentunit", keys.failed_share(full_range), _ERRORS, decimals=2, job=JOB, drilldown=links.GATEWAY,
        ),
        stat(
            "Mean TTFT of keys",
            "How long did their streams wait for the first token?",
            f"a mean: a few very slow ones can be hidden. Streams only. Follows VM and key; {TO_THE_STEP}",
            "s", keys.mean_first_token(full_range), job=JOB, drilldown=links.GATEWAY,
        ),
    )  # fmt: skip


def tables(variables: Variables) -> tuple[Panel, ...]:
    """All keys side by side."""
    full_range = variables.full_range
    columns = (
        Query(keys.tokens(full_range, "output", "key"), "Output tokens"),
        Query(keys.tokens(full_range, "input", "key"), "Input tokens"),
        Query(keys.finished(full_range, "key"), "Requests"),
        Query(keys.failed_share(full_range, "key"), "Error rate", "percentunit"),
        Query(keys.mean_duration(full_range, "key"), "E2E mean", "s"),
        Query(keys.mean_first_token(full_range, "key"), "TTFT mean", "s"),
        Query(keys.spent(full_range, "key"), "Cost", DOLLARS),
    )
    return (
        table(
            "Keys",
            "Which key used how much in the selected time range, and how did its requests go? Click a key to "
            "filter by it.",
            f"the {_MOST_KEYS} with the most output tokens. {_OTHERS} Tokens of interrupted streams are unknown: see "
            f"Wasted output on the Gateway dashboard. Follows VM and key; {TO_THE_STEP}",
            "short",
            24,
            largest(_MOST_KEYS, "key", columns),
            no_value="No key used, or the gateway is not scraped",
            keys=(Key("key", "Key", links.COST, "key"),),
            action="unexpected usage: the name of the key is its owner's; `make key NAME=… REVOKE=1` revokes it within "
            "5 s.",
        ),
    )


def usage(variables: Variables) -> tuple[Panel, ...]:
    """Who spends, and who uses, over time."""
    cell = variables.per_cell
    return (
        graph(
            "Cost per hour by key",
            "Which keys cause the cost?",
            f"counted when a request ends; idle time belongs to no key. {_OTHERS} Follows VM and key.",
            DOLLARS, 12, (Query(keys.hourly_cost(cell), "{{key}}"),),
            no_value=NO_PRICE_OR_DATA, stacked=True, step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Token throughput by key (tok/s)",
            "Which keys use how many tokens?",
            f"input and output tokens together, counted when a request ends. {_OTHERS} Follows VM and key.",
            "tokens/s", 12, (Query(keys.token_rate(cell), "{{key}}"),),
            no_value="No traffic, or the gateway is not scraped", stacked=True,
            step_seconds=cost.STEP_SECONDS,
        ),
    )  # fmt: skip


def service(variables: Variables) -> tuple[Panel, ...]:
    """How the requests of each key go."""
    cell = variables.per_cell
    no_value = "No traffic, or the gateway is not scraped"
    return (
        graph(
            "Failed requests by key",
            "Whose requests fail on the server's side?",
            "excludes client errors and cancelled requests. Follows VM and key.",
            "reqps", 8, (Query(keys.failure_rate(cell), "{{key}}"),), no_value=no_value, drilldown=links.GATEWAY,
            step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Mean E2E latency by key",
            "Whose requests take long?",
            "to the last byte: long answers take long by themselves. Means: a few slow ones can be hidden. Follows VM "
            "and key.",
            "s", 8, (Query(keys.mean_duration(cell, "key"), "{{key}}"),),
            no_value=no_value, step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Mean TTFT by key",
            "Whose streams start slowly?",
            "streams that were not cancelled. Means: a few slow ones can be hidden. Follows VM and key.",
            "s", 8, (Query(keys.mean_first_token(cell, "key"), "{{key}}"),),
            no_value=no_value, step_seconds=cost.STEP_SECONDS,
        ),
    )  # fmt: skip

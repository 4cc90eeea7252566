"""Rows of the Cost dashboard by engine: what the machines cost, used or not."""

from observability import downsampling
from observability.dashboards import palette
from observability.panel import GREEN, GREY, RED, Panel, Query, Thresholds, graph, stat
from observability.queries import cost
from observability.queries.gateway import JOB
from observability.variables import Variables

NO_PRICE = "No price set (ENGINE_PRICES)"
NO_PRICE_OR_DATA = "No price set (ENGINE_PRICES), or the gateway is not scraped"
DOLLARS = "currencyUSD"
TO_THE_STEP = f"counted {downsampling.STEPS}, the last of which may still be missing."


def tiles(variables: Variables) -> tuple[Panel, ...]:
    """The price now, and what was spent in the selected time range."""
    now, full_range = variables.now, variables.full_range
    return (
        stat(
            "Hourly cost (USD/h)",
            "What do the engines cost per hour, used or not?",
            "the prices of ENGINE_PRICES; discounts, disks and network traffic are not included. Follows VM and "
            "engine.",
            DOLLARS, cost.hourly_price(now), no_value=NO_PRICE, decimals=2, job=JOB,
        ),
        stat(
            "Cost",
            "How much was spent in the selected time range?",
            "only while the gateway was running; running requests are counted when they end. Follows VM and engine. "
            + TO_THE_STEP,
            DOLLARS, cost.spent(full_range), no_value=NO_PRICE, job=JOB,
        ),
        stat(
            "Cost of idle time",
            "How much of that was spent on idle time?",
            "idle means no request in flight; the gateway's own probes count as idle time. Follows VM and engine. "
            + TO_THE_STEP,
            DOLLARS, cost.spent_by_part(full_range, "idle"), no_value=NO_PRICE, job=JOB,
        ),
        stat(
            "Idle share of cost",
            "What share was spent on idle time?",
            f"follows VM and engine; {TO_THE_STEP}",
            "percentunit", cost.share_of_part(full_range, "idle"), no_value=NO_PRICE, maximum=1, decimals=0, job=JOB,
            action="idle most of the day: use a smaller GPU, a spot VM, or stop the VM at night.",
        ),
        stat(
            "Cost of requests",
            "How much was spent on requests, of all models and keys?",
            f"follows VM and engine; {TO_THE_STEP}",
            DOLLARS, cost.spent_by_part(full_range, "requests"), no_value=NO_PRICE, job=JOB,
        ),
        stat(
            "Cost lost in worker crashes",
            "How much was spent on engine time that a killed worker did not account for?",
            "at most half a second of engine time per kill, plus the time until the worker is replaced. Follows VM and "
            "engine.",
            DOLLARS, cost.spent_by_part(full_range, "lost"), Thresholds.warn(0.01), no_value=NO_PRICE, job=JOB,
        ),
    )  # fmt: skip


def graphs(variables: Variables) -> tuple[Panel, ...]:
    """Where the dollars go, and whether they differ from other days."""
    cell = variables.per_cell
    return (
        graph(
            "Cost per hour: requests, idle, lost",
            "Is the money spent on requests or on idle time?",
            "adds up to the hourly price, except for running requests. lost: a worker was killed. Follows VM and "
            "engine.",
            DOLLARS, 8, (Query(cost.hourly_cost_by(cell, "part"), "{{part}}"),),
            no_value=NO_PRICE_OR_DATA, colours=(("requests", GREEN), ("idle", GREY), ("lost", RED)),
            stacked=True, step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Cost per hour by engine",
            "How much does each engine cost, used or not?",
            "engines without a price are counted as free. Follows VM and engine.",
            DOLLARS, 8, (Query(cost.hourly_cost_by(cell, "engine"), "{{engine}}"),),
            no_value=NO_PRICE_OR_DATA, stacked=True, step_seconds=cost.STEP_SECONDS,
        ),
        graph(
            "Cost of requests per hour, compared",
            "Do requests cost more than yesterday, or a week ago?",
            "at the same time of day; dashed are the other days. Idle time is not included. Follows VM and engine.",
            DOLLARS, 8,
            (
                Query(cost.hourly_request_cost(cell), "now"),
                Query(
                    cost.hourly_request_cost(cell.before("1d")), "yesterday", dashed=True, colour=palette.OTHER_DAY
                ),
                Query(
                    cost.hourly_request_cost(cell.before("7d")), "last week", dashed=True, colour=palette.OTHER_WEEK
                ),
            ),
            no_value=NO_PRICE_OR_DATA, colours=(("now", GREEN),), step_seconds=cost.STEP_SECONDS,
        ),
    )  # fmt: skip


def accounted_for(variables: Variables) -> Panel:
    """The check of the dollars themselves."""
    return graph(
        "Cost accounted for",
        "Is all engine time accounted for, as requests, idle or lost?",
        "requests are counted when they end: long ones pull it below 1 and then above. If it stays off, a gateway or "
        "its counters are missing. Follows VM and engine.",
        "percentunit",
        10,
        (Query(cost.accounted_for(variables.per_cell), "of the hourly cost"),),
        no_value=NO_PRICE_OR_DATA,
        thresholds=Thresholds.limit(1),
        step_seconds=cost.STEP_SECONDS,
    )

"""Service levels on the Overview: the error budgets that are left, and their burn rates."""

from observability import links, settings
from observability.panel import BLUE, GREEN, ORANGE, RED, YELLOW, Panel, Query, Thresholds, graph, stat
from observability.queries import cost, slo
from observability.variables import Variables

_ALL = "one objective for all models of a VM: the variables above do not filter it."
_YOUNG = "Not enough data"
# Burn rates above which an alert fires.
_FAST_BURN, _SLOW_BURN = settings.FAST_BURNS[0][0], settings.SLOW_BURN[0]


def tiles(variables: Variables) -> tuple[Panel, ...]:
    """Budgets, burn rates, and the price."""
    left = Thresholds.low_is_bad(0, 0.25)
    burning = Thresholds.high_is_bad(_SLOW_BURN, _FAST_BURN)
    left_of = (
        "What share of the {bad} allowed by the objective ({objective}) in {window} is left? Below 0 it is missed."
    )
    return (
        stat(
            "Error budget left",
            left_of.format(
                bad="failures", objective=f"{settings.AVAILABILITY_OBJECTIVE:.1%} succeed", window=slo.BUDGET_WINDOW
            ),
            _ALL, "percentunit", slo.budget_left("availability"), left, minimum=None, decimals=0, no_value=_YOUNG,
            action="below a quarter: no risky deployments until it has recovered.", drilldown=links.GATEWAY,
        ),
        stat(
            "Budget for slow first tokens",
            left_of.format(
                bad="slow first tokens",
                objective=f"{settings.TTFT_OBJECTIVE:.0%} within {settings.TTFT_SLOW_SECONDS:g} s",
                window=slo.BUDGET_WINDOW,
            ),
            f"only streams that got a first token; {_ALL}", "percentunit", slo.budget_left("ttft"), left,
            minimum=None, decimals=0, no_value=_YOUNG, drilldown=links.ENGINE,
        ),
        stat(
            "Burning, last hour",
            "How fast do failures burn the error budget? At 1 it lasts exactly as long as its window.",
            _ALL, "x", slo.burn_rate("availability", "1h"), burning, decimals=1,
            action="above 14: find the outcome in Requests by outcome, then see AvailabilityBudgetBurnFast in "
            "docs/runbook.md.",
            drilldown=links.GATEWAY,
        ),
        stat(
            "Burning slow, last hour",
            "How fast do slow first tokens burn the error budget?",
            f"only streams that got a first token; {_ALL}", "x", slo.burn_rate("ttft", "1h"), burning, decimals=1,
            drilldown=links.ENGINE,
        ),
        stat(
            "Failed, 3 days",
            "How many requests failed on the server's side in three days?",
            f"half a minute behind; {_ALL}",
            "short", slo.bad_requests("availability", slo.BUDGET_WINDOW), decimals=0,
        ),
        stat(
            "Price of an hour",
            "What do the engines cost per hour, used or not?",
            "the prices of ENGINE_PRICES; discounts, disks and network traffic are not included.",
            "currencyUSD", cost.hourly_price(variables.now), no_value="No price set (ENGINE_PRICES)", decimals=2,
            drilldown=links.COST,
        ),
    )  # fmt: skip


def graphs() -> tuple[Panel, ...]:
    """Burn rates over the windows of the alerts, and the budgets over time."""
    windows = (("5m", RED), ("1h", ORANGE), ("6h", YELLOW), ("3d", BLUE))
    return (
        _burning("Burn rate of availability", "availability", "How fast do failures burn the error budget?", windows),
        _burning("Burn rate of first tokens", "ttft", "How fast do slow first tokens burn the error budget?", windows),
        graph(
            "Budgets left",
            "How much of the error budgets is left?",
            f"over the last {slo.BUDGET_WINDOW}, so that old failures drop out; {_ALL}",
            "percentunit",
            8,
            (
                Query(slo.budget_left("availability"), "availability"),
                Query(slo.budget_left("ttft"), "first tokens"),
            ),
            colours=(("availability", GREEN), ("first tokens", BLUE)),
            minimum=None,
            maximum=1,
            thresholds=Thresholds("text", ((0, "text"),)),
        ),
    )


def _burning(title: str, level: str, question: str, windows: tuple[tuple[str, str], ...]) -> Panel:
    return graph(
        title,
        f"{question} At 1 it is spent exactly.",
        f"empty without traffic; {_ALL}",
        "x",
        8,
        tuple(Query(slo.burn_rate(level, window), window) for window, _ in windows),
        thresholds=Thresholds("text", ((_SLOW_BURN, ORANGE), (_FAST_BURN, RED))),
        colours=windows,
        action="high in 5m and 1h: a page, act now. Above 1 in 6h and 3d: a ticket for the next day.",
    )

"""Service levels on the overview: what was promised, how much may still go wrong, and how fast that is used up."""

from observability import links, settings
from observability.panel import BLUE, GREEN, ORANGE, RED, YELLOW, Panel, Query, Thresholds, graph, stat
from observability.queries import cost, slo
from observability.variables import Variables

_ALL = "one promise for all models and VMs: the variables above do not narrow it down."
# Faster than these, and an alert fires.
_FAST_BURN, _SLOW_BURN = settings.FAST_BURNS[0][0], settings.SLOW_BURN[0]


def tiles(variables: Variables) -> tuple[Panel, ...]:
    """What is left, how fast it goes, and what all of it costs."""
    left = Thresholds.low_is_bad(0, 0.25)
    burning = Thresholds.high_is_bad(_SLOW_BURN, _FAST_BURN)
    left_of = "Of the {bad} that the promise ({promise}) allows in {window}, how many are left? Below 0 it is broken."
    return (
        stat(
            "Error budget left",
            left_of.format(
                bad="failures", promise=f"{settings.AVAILABILITY_OBJECTIVE:.1%} go well", window=slo.BUDGET_WINDOW
            ),
            _ALL, "percentunit", slo.budget_left("availability"), left, minimum=None, decimals=0,
            action="below a quarter: no risky deploys until it has recovered.", drilldown=links.GATEWAY,
        ),
        stat(
            "Budget for slow first tokens",
            left_of.format(
                bad="slow first tokens",
                promise=f"{settings.TTFT_OBJECTIVE:.0%} within {settings.TTFT_SLOW_SECONDS:g} s",
                window=slo.BUDGET_WINDOW,
            ),
            f"streams that got a first token; {_ALL}", "percentunit", slo.budget_left("ttft"), left,
            minimum=None, decimals=0, drilldown=links.ENGINE,
        ),
        stat(
            "Burning, last hour",
            "How many times as fast as allowed do requests fail? At 1 the budget lasts just as long as promised.",
            _ALL, "x", slo.burn_rate("availability", "1h"), burning, decimals=1,
            action="above 14: find the outcome in Requests by outcome, then its heading in docs/runbook.md.",
            drilldown=links.GATEWAY,
        ),
        stat(
            "Burning slow, last hour",
            "How many times as fast as allowed are first tokens slow?",
            f"streams that got a first token; {_ALL}", "x", slo.burn_rate("ttft", "1h"), burning, decimals=1,
            drilldown=links.ENGINE,
        ),
        stat(
            "Failed, 3 days",
            "How many requests failed through no fault of the client, in three days?",
            f"summed from looks every {settings.EVALUATION_INTERVAL_SECONDS} s, so that single ones are estimates; "
            f"{_ALL}",
            "short", slo.bad_requests("availability", slo.BUDGET_WINDOW), decimals=0,
        ),
        stat(
            "Price of an hour",
            "What does all of this cost an hour, used or not?",
            "as it was set in ENGINE_PRICES: discounts, disks and traffic are not in it.",
            "currencyUSD", cost.hourly_price(variables.now), no_value="No price set (ENGINE_PRICES)", decimals=2,
            drilldown=links.COST,
        ),
    )  # fmt: skip


def graphs() -> tuple[Panel, ...]:
    """Burn rates over the windows that alerts look at, and the budgets as they shrink."""
    windows = (("5m", RED), ("1h", ORANGE), ("6h", YELLOW), ("3d", BLUE))
    return (
        _burning("Burn rate of availability", "availability", "Do failures use up what the promise allows?", windows),
        _burning("Burn rate of first tokens", "ttft", "Do slow first tokens use up what the promise allows?", windows),
        graph(
            "Budgets left",
            "How much may still go wrong before the promise is broken?",
            f"over the last {slo.BUDGET_WINDOW}, so that an old failure leaves it again; {_ALL}",
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
        f"{question} At 1 it is just used up.",
        f"empty while there is no traffic; {_ALL}",
        "x",
        8,
        tuple(Query(slo.burn_rate(level, window), window) for window, _ in windows),
        thresholds=Thresholds("text", ((_SLOW_BURN, ORANGE), (_FAST_BURN, RED))),
        colours=windows,
        action="fast in 5m and 1h: page, act now. Slow in 6h and 3d: a ticket for tomorrow.",
    )

"""Service levels on the Overview: the error budgets that are left, and their burn rates."""

from dataclasses import replace

from observability import links, settings
from observability.panel import BLUE, COUNT, GREEN, ORANGE, RED, YELLOW, Panel, Query, Thresholds, graph, stat
from observability.queries import slo
from observability.variables import Variables

_ALL = "of all models of a VM: the variables above do not filter it; of several VMs the worst."
_YOUNG = "Not enough data"
# Burn rates above which an alert fires.
_WINDOW_COLOURS = tuple(zip(slo.GRAPH_WINDOWS, (RED, ORANGE, YELLOW, BLUE), strict=True))
_FAST_BURN, _SLOW_BURN = settings.FAST_BURNS[0][0], settings.SLOW_BURN[0]


def tiles() -> tuple[Panel, ...]:
    """Budgets and burn rates."""
    left = Thresholds.low_is_bad(0, 0.25)
    burning = Thresholds.high_is_bad(_SLOW_BURN, _FAST_BURN)
    left_of = (
        "What share of the {bad} allowed by the objective ({objective}) in {window} is left? Below 0 it is missed."
    )
    return (
        stat(
            "Availability error budget left",
            left_of.format(
                bad="failures", objective=f"{settings.AVAILABILITY_OBJECTIVE:.1%} succeed", window=slo.BUDGET_WINDOW
            ),
            _ALL, "percentunit", f"min({slo.budget_left('availability')})", left,
            minimum=None, decimals=0, width=5, no_value=_YOUNG,
            action="below a quarter: no risky deployments until it has recovered.", drilldown=links.GATEWAY,
        ),
        stat(
            "TTFT error budget left",
            left_of.format(
                bad="slow first tokens",
                objective=f"{settings.TTFT_OBJECTIVE:.0%} within {settings.TTFT_SLOW_SECONDS:g} s",
                window=slo.BUDGET_WINDOW,
            ),
            f"only streams that got a first token; {_ALL}", "percentunit", f"min({slo.budget_left('ttft')})", left,
            minimum=None, decimals=0, width=5, no_value=_YOUNG, drilldown=links.ENGINE,
        ),
        stat(
            "Availability burn rate (1h)",
            "How fast do failures burn the error budget? At 1 it lasts exactly as long as its window.",
            _ALL, "x", f"max({slo.burn_rate('availability', '1h')})", burning, decimals=1, width=5,
            action="above 14: find the outcome in Requests by outcome, then see AvailabilityBudgetBurnFast in "
            "docs/runbook.md.",
            drilldown=links.GATEWAY,
        ),
        stat(
            "TTFT burn rate (1h)",
            "How fast do slow first tokens burn the error budget?",
            f"only streams that got a first token; {_ALL}", "x",
            f"max({slo.burn_rate('ttft', '1h')})", burning, decimals=1, width=5,
            drilldown=links.ENGINE,
        ),
        stat(
            "Failed requests (3d)",
            "How many requests failed on the server's side in three days?",
            "half a minute behind; what nginx answered with a 5xx of its own included. Of all models and VMs together.",
            COUNT, f"sum({slo.bad_requests('availability', slo.BUDGET_WINDOW)})", decimals=0,
            no_value="No traffic in 3 days",
        ),
    )  # fmt: skip


def graphs(variables: Variables) -> tuple[Panel, ...]:
    """Burn rates over the windows of the alerts, and the budgets over time."""
    cell = replace(variables.per_cell, filters={})  # objectives hold for all models of a VM
    failures, slow = ("How fast do failures burn the error budget?", "How fast do slow first tokens burn it?")
    return (
        _burning("Availability burn rate", slo.burn_rates(cell, "availability"), failures),
        _burning("TTFT burn rate", slo.burn_rates(cell, "ttft"), slow),
        graph(
            "Error budgets left",
            "How much of the error budgets is left?",
            f"over the last {slo.BUDGET_WINDOW}, so that old failures drop out; {_ALL}",
            "percentunit",
            8,
            (Query(slo.budgets_left(cell), f"{{{{{slo.OBJECTIVE}}}}} {{{{vm}}}}"),),
            colours=(("/^availability /", GREEN), ("/^TTFT /", BLUE)),
            no_value="No traffic, or the rules are not evaluated",
            minimum=None,
            maximum=1,
            thresholds=Thresholds("text", ((0, "text"),)),
            step_seconds=settings.EVALUATION_INTERVAL_SECONDS,
        ),
    )


def _burning(title: str, burn_rates: str, question: str) -> Panel:
    return graph(
        title,
        f"{question} At 1 it is spent exactly.",
        f"empty without traffic; {_ALL}",
        "x",
        8,
        (Query(burn_rates, f"{{{{{slo.WINDOW}}}}} {{{{vm}}}}"),),
        thresholds=Thresholds("text", ((_SLOW_BURN, ORANGE), (_FAST_BURN, RED))),
        colours=tuple((f"/^{window} /", colour) for window, colour in _WINDOW_COLOURS),
        step_seconds=settings.EVALUATION_INTERVAL_SECONDS,
        no_value="No traffic, or the rules are not evaluated",
        action="high in 5m and 1h: a page, act now. Above 1 in 6h and 3d: a ticket for the next day.",
    )

"""Reconciliation: each minute, the engines' counts, the gateways', and the difference by cause.

The parts of a sum are recorded one by one, since a later rule would otherwise repeat the earlier ones several times.
"""

from observability import settings
from observability.queries import reconciliation
from observability.queries.reconciliation import CAUSES, WINDOW, Quantity
from observability.recording.group import Group

_RESTARTS = f"reconciliation:restarts:sum{WINDOW}"
_QUIET, _DISTURBED = f"({_RESTARTS}{{}} == bool 0)", f"({_RESTARTS}{{}} > bool 0)"


def group() -> Group:
    """The group."""
    series = {_RESTARTS: reconciliation.restarts()}
    # Requests last to first: whether there were direct requests decides what a drift of tokens is called.
    for quantity in reversed(reconciliation.quantities()):
        series |= _series(quantity)
    return Group("glasshouse-reconciliation", settings.RECONCILIATION_INTERVAL_SECONDS, series | _steps() | _nginx())


def _steps() -> dict[str, str]:
    """What panels add up: every evaluation covers the window, so that each token is counted in several of them."""
    return {
        quantity.steps(part): f"{quantity.series(part)}{{}} / {reconciliation.EVALUATIONS_PER_WINDOW}"
        for quantity in reconciliation.quantities()
        for part in reconciliation.PARTS
    }


def _series(quantity: Quantity) -> dict[str, str]:
    names = {
        part: f"{quantity.series(part)}{{}}"
        for part in ("engines", "gateways", "probe", "retry", "unfinished", "rest", "drift", "direct")
    }
    counted = f"{names['engines']} - {names['gateways']} - {names['probe']}"
    countable = f"({quantity.unfinished})"
    # The estimates take what is left, up to their limits: first the retries', which are fewer.
    retry = f"clamp_max(clamp_min({counted} - {countable}, 0), {_scalar(quantity.retry_limit)})"
    left = f"{counted} - {countable} - {names['retry']}"
    unfinished = f"{countable} + clamp_max(clamp_min({left}, 0), {_scalar(quantity.unfinished_limit)})"
    direct = f"clamp_min({names['drift']}, 0)"
    if quantity.name != "requests":
        direct += f" * (reconciliation:requests_direct:increase{WINDOW}{{}} > bool 0.5)"
    causes = {
        **{cause: names[cause] for cause in ("probe", "unfinished", "retry", "direct")},
        "restart": f"{names['rest']} * {_DISTURBED}",
        "unattributed": f"{names['drift']} - {names['direct']}",
    }
    return {
        quantity.series("engines"): quantity.engines,
        quantity.series("gateways"): quantity.gateways,
        quantity.series("probe"): quantity.probe,
        quantity.series("retry"): retry,
        quantity.series("unfinished"): unfinished,
        quantity.series("rest"): f"{counted} - {names['unfinished']} - {names['retry']}",
        quantity.series("drift"): f"{names['rest']} * {_QUIET}",
        quantity.series("direct"): direct,
        quantity.series("residual"): _by_cause({cause: causes[cause] for cause in CAUSES}),
    }


def _nginx() -> dict[str, str]:
    """What nginx counts: more than clients' requests, so that only a surplus on the gateways' side is a drift."""
    name = f"reconciliation:nginx_requests_{{}}:increase{WINDOW}"
    rest = f"{name.format('rest')}{{}}"
    return {
        name.format("nginx"): reconciliation.nginx_requests(),
        name.format("gateways"): reconciliation.relayed_requests(),
        name.format("scrape"): reconciliation.nginx_scrapes(),
        name.format("rest"): " - ".join(f"{name.format(part)}{{}}" for part in ("nginx", "gateways", "scrape")),
        name.format("residual"): _by_cause(
            {
                "scrape": f"{name.format('scrape')}{{}}",
                "not_relayed": f"clamp_min({rest}, 0)",
                "restart": f"clamp_max({rest}, 0) * {_DISTURBED}",
                "unattributed": f"clamp_max({rest}, 0) * {_QUIET}",
            }
        ),
    }


def _by_cause(causes: dict[str, str]) -> str:
    return " or ".join(f'label_replace({expr}, "cause", "{cause}", "", "")' for cause, expr in causes.items())


def _scalar(expression: str) -> str:
    return f"scalar({expression})"

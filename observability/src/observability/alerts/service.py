"""Alerts on what clients get: the burn rates of the service levels, and cancellations."""

from observability import settings
from observability.alerts.alert import VALUE, Alert, Severity
from observability.promql import Scope
from observability.queries import slo
from observability.queries.gateway import requests

_TEN_MINUTES = Scope("10m")
_FAILED = (
    "Counts timeouts, engine errors, broken streams and internal errors; leaves out client errors, cancelled and "
    "rejected requests. "
)
_LATE = "Counts streams that got a first token; long prompts are slow by themselves, a queue slows all. "
_FAST = "At this rate the error budget of three days is spent within hours. Check {panel} for the cause."
_SLOW = "At this rate the objective is missed, although no single hour looks bad. Check {panel} for the trend."


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    failed, outcomes = f"{VALUE} of the requests failed", "Requests by outcome"
    late = f"{VALUE} of the streams waited more than {settings.TTFT_SLOW_SECONDS:g} s for the first token"
    availability, latency = "Burn rate of availability", "Burn rate of first tokens"
    queue = "Requests in flight"
    return (
        _burn(
            "AvailabilityBudgetBurnFast", "availability", "page", failed, _FAILED + _FAST.format(panel=outcomes),
            availability,
        ),
        _burn(
            "AvailabilityBudgetBurnSlow", "availability", "ticket", failed, _FAILED + _SLOW.format(panel=outcomes),
            availability,
        ),
        _burn("LatencyBudgetBurnFast", "ttft", "page", late, _LATE + _FAST.format(panel=queue), latency),
        _burn("LatencyBudgetBurnSlow", "ttft", "ticket", late, _LATE + _SLOW.format(panel=queue), latency),
        Alert(
            name="HighCancellationRate",
            expr=requests.cancelled_share_of_many(_TEN_MINUTES, settings.MIN_CANCELLED_REQUESTS),
            limit=settings.CANCELLED_SHARE_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"Clients cancelled {VALUE} of the requests of the last ten minutes",
            value_format="humanizePercentage",
            description="Nothing failed on the server's side: impatient users, client timeouts or a broken network. No "
            "other alert covers this, since cancelled requests count as neither good nor bad. Check Cancellations by "
            "phase, and whether one key causes them.",
            dashboard="Overview",
            panel="Cancellations",
        ),
    )  # fmt: skip


def _burn(name: str, level: str, severity: Severity, what: str, description: str, panel: str) -> Alert:
    """An alert on a burn rate: fast burns page, slow ones open a ticket."""
    burns = settings.FAST_BURNS if severity == "page" else (settings.SLOW_BURN,)
    return Alert(
        name=name,
        expr=" or ".join(slo.burning(level, *burn) for burn in burns),
        limit=0,
        for_="2m" if severity == "page" else "15m",
        severity=severity,
        summary=f"{what} over {{{{ $labels.window }}}}; the objective allows "
        f"{1 - slo.service_level(level).objective:.1%}",
        value_format="humanizePercentage",
        description=description,
        dashboard="Overview",
        panel=panel,
    )

"""Alerts on what clients get: requests that fail or start late, against what is promised, and clients that leave."""

from observability import settings
from observability.alerts.alert import VALUE, Alert, Severity
from observability.promql import Scope
from observability.queries import gateway, slo

_TEN_MINUTES = Scope("10m")
_FAILED = (
    "Timeouts, engine errors, broken streams and faults of our own, of all requests that we are judged by; what "
    "clients caused, cancelled or may not do is not in it. "
)
_LATE = "Streams that got a first token. A long prompt takes long by itself, a queue takes long for all. "
_FAST = "At this pace the requests that may fail in three days are used up within hours."
_SLOW = "Not urgent: at this pace the objective is missed, though no single hour looks bad."


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    share, outcomes = f"{VALUE} of the requests failed", "Burn rate of availability"
    late = f"{VALUE} of the streams waited more than {settings.TTFT_SLOW_SECONDS:g} s for the first token"
    return (
        _burn("ErrorsBurnFast", "availability", "page", share, _FAILED + _FAST, outcomes),
        _burn("ErrorsBurnSlowly", "availability", "ticket", share, _FAILED + _SLOW, outcomes),
        _burn("LatencyBurnsFast", "ttft", "page", late, _LATE + _FAST, "Burn rate of first tokens"),
        _burn("LatencyBurnsSlowly", "ttft", "ticket", late, _LATE + _SLOW, "Burn rate of first tokens"),
        Alert(
            name="ClientsLeave",
            expr=gateway.cancelled_share_of_many(_TEN_MINUTES, settings.LEAST_CANCELLED_REQUESTS),
            limit=settings.CANCELLED_SHARE_LIMIT,
            lasting="5m",
            severity="ticket",
            summary=f"In {VALUE} of the requests of ten minutes the client left before the end",
            value_format="humanizePercentage",
            meaning="No fault that we can see: impatience, a client's own time limit, a network that breaks. No other "
            "number tells of it, since what was cancelled neither failed nor ended well.",
            dashboard="Overview",
            panel="Cancellations",
        ),
    )


def _burn(name: str, level: str, severity: Severity, what: str, meaning: str, panel: str) -> Alert:
    burns = settings.FAST_BURNS if severity == "page" else (settings.SLOW_BURN,)
    return Alert(
        name=name,
        expr=" or ".join(slo.burning(level, *burn) for burn in burns),
        limit=0,
        lasting="2m" if severity == "page" else "15m",
        severity=severity,
        summary=f"{what} over {{{{ $labels.window }}}}, where {1 - slo.named(level).objective:.1%} may",
        value_format="humanizePercentage",
        meaning=meaning,
        dashboard="Overview",
        panel=panel,
    )

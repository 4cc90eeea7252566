"""Alerts on what clients get: the burn rates of the service levels, cancellations, keys, and errors of nginx."""

from observability import settings
from observability.alerts.alert import ON_VM, VALUE, Alert, Severity
from observability.promql import Scope
from observability.queries import slo, stack
from observability.queries.gateway import process, requests

_FIVE_MINUTES, _TEN_MINUTES = Scope("5m"), Scope("10m")
_FAILED = (
    "Counts timeouts, engine errors, broken streams, internal errors and the errors that nginx itself answered with; "
    "leaves out client errors, cancelled and rejected requests. "
)
_LATE = "Counts streams that got a first token; long prompts are slow by themselves, a queue slows all. "
_FAST = "At this rate the error budget of three days is spent within hours. Check {panel} for the cause."
_SLOW = "At this rate the objective is missed, although no single hour looks bad. Check {panel} for the trend."
_TO_MODEL = "{{ with $labels.model }} to {{ . }}{{ end }}"
_WITH_OUTCOME = "{{ with $labels.outcome }} with {{ . }}{{ end }}"


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    failed = f"{VALUE} requests{_TO_MODEL} {ON_VM} failed{_WITH_OUTCOME}"
    late = f"{VALUE} streams{_TO_MODEL} {ON_VM} waited more than {settings.TTFT_SLOW_SECONDS:g} s for the first token"
    return (
        _burn("AvailabilityBudgetBurnFast", "availability", "page", failed, _FAILED + _FAST),
        _burn("AvailabilityBudgetBurnSlow", "availability", "ticket", failed, _FAILED + _SLOW),
        _burn("LatencyBudgetBurnFast", "ttft", "page", late, _LATE + _FAST),
        _burn("LatencyBudgetBurnSlow", "ttft", "ticket", late, _LATE + _SLOW),
        Alert(
            name="NginxServerErrors",
            expr=stack.nginx_own_responses_by_code(_FIVE_MINUTES),
            limit=settings.NGINX_OWN_RESPONSES_LIMIT,
            for_="0s",
            severity="ticket",
            summary=f"nginx {ON_VM} answered {VALUE} requests with {{{{ $labels.code }}}} itself within five minutes",
            resolved=f"nginx {ON_VM} no longer answers with {{{{ $labels.code }}}} itself",
            value_format="humanize",
            description="These requests never reached the gateway or got nothing from it, so its metrics do not have "
            "them; they count as failures all the same. 502: the gateway is down or restarts. 504: it did not answer "
            "in time. Check docker compose ps api and the log of nginx.",
            dashboard="Overview",
            panel="Burn rate of availability",
        ),
        Alert(
            name="HighCancellationRate",
            expr=requests.cancelled_share_of_many(_TEN_MINUTES, settings.MIN_CANCELLED_REQUESTS),
            limit=settings.CANCELLED_SHARE_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"Clients cancelled {VALUE} of the requests of the last ten minutes {ON_VM}",
            resolved=f"Clients no longer cancel so many requests {ON_VM}",
            value_format="humanizePercentage",
            description="Nothing failed on the server's side: impatient users, client timeouts or a broken network. No "
            "other alert covers this, since cancelled requests count as neither good nor bad. Check Cancellations by "
            "phase, and whether one key causes them.",
            dashboard="Overview",
            panel="Cancellations",
        ),
        Alert(
            name="AuthenticationFailuresHigh",
            expr=process.auth_failures_by_vm(_TEN_MINUTES),
            limit=settings.AUTH_FAILURES_LIMIT,
            for_="0s",
            severity="ticket",
            summary=f"{VALUE} requests of the last ten minutes {ON_VM} had a wrong key ({{{{ $labels.reason }}}})",
            resolved=f"Few requests have a wrong key {ON_VM} ({{{{ $labels.reason }}}})",
            value_format="humanize",
            description="A client uses a key that has expired, was removed or never existed, and retries, or somebody "
            "guesses keys. Check the addresses of the requests with status 401 in the log of the gateway.",
            dashboard="Gateway",
            panel="Turned away for their key",
        ),
    )


def _burn(name: str, level: str, severity: Severity, what: str, description: str) -> Alert:
    """An alert on a burn rate: fast burns page, slow ones open a ticket."""
    fast = severity == "page"
    burns = settings.FAST_BURNS if fast else (settings.SLOW_BURN,)
    counted, words = ("1h", "the last hour") if fast else ("6h", "the last six hours")
    causes, panel = {
        "availability": ("Requests by outcome", "Burn rate of availability"),
        "ttft": ("Requests in flight", "Burn rate of first tokens"),
    }[level]
    allowed = f"{1 - slo.service_level(level).objective:.1%}"
    return Alert(
        name=name,
        expr=slo.burning(level, *burns, counted=counted),
        limit=0,
        for_="2m" if fast else "15m",
        severity=severity,
        summary=f"{what} within {words}; the objective allows {allowed} of all",
        resolved=f"The {_NAMES[level]} budget {ON_VM} no longer burns too fast",
        value_format="humanize",
        description=description.format(panel=causes),
        dashboard="Overview",
        panel=panel,
    )


_NAMES = {"availability": "availability", "ttft": "TTFT"}

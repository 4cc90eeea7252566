"""Is the gateway itself well? Its workers, its event loop, what it lost, whom it turned away."""

from observability.promql import Scope, quantile, total
from observability.queries import gateway


def _series(scope: Scope, name: str) -> str:
    return scope.series(f"gateway_{name}", gateway.JOB, vm="vm")


def workers_missing(scope: Scope) -> str:
    """Workers that there should be and are not."""
    return f"{total(_series(scope, 'workers_expected'))} - {total(_series(scope, 'worker_up'))}"


def workers(scope: Scope) -> str:
    """Workers that live."""
    return total(_series(scope, "worker_up"))


def workers_expected(scope: Scope) -> str:
    """Workers that there should be."""
    return total(_series(scope, "workers_expected"))


def loop_lag(scope: Scope, number: float) -> str:
    """How late the event loop's timers fire, in seconds."""
    return quantile(number, scope.rate(_series(scope, "event_loop_lag_seconds_bucket")))


def lost(scope: Scope) -> str:
    """Requests that were begun and neither ended nor are in flight: a killed worker took them along."""
    begun = total(scope.series("gateway_requests_started_total", gateway.JOB, model="model", vm="vm"))
    ended = total(scope.series("gateway_requests_total", gateway.JOB, model="model", vm="vm"))
    return f"{begun} - {ended} - {gateway.in_flight(scope)}"


def turned_away(scope: Scope) -> str:
    """Requests per second without a good key, by what was wrong."""
    return total(scope.rate(_series(scope, "auth_failures_total")), "reason")


def overflow(scope: Scope) -> str:
    """Requests per second whose key or model had no series left of its own."""
    return total(scope.rate(_series(scope, "label_overflow_total")), "metric")


def scrape_seconds(scope: Scope) -> str:
    """How long Prometheus waits for the gateway's own metrics."""
    return f"max by (vm) ({scope.series('scrape_duration_seconds', gateway.JOB, vm='vm')})"

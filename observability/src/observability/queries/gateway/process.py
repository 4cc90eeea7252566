"""The gateway's own processes: workers, event loop, lost requests, rejected keys."""

from observability import downsampling
from observability.promql import Scope, quantile, total
from observability.queries.gateway import JOB
from observability.queries.gateway.requests import in_flight

# Recorded (`recording.gateway`): what came in each minute.
LOOP_LAG = "vm:gateway_event_loop_lag_seconds_bucket:increase1m"
AUTH_FAILURES = "vm:gateway_auth_failures:increase1m"
LABEL_OVERFLOW = "vm:gateway_label_overflow:increase1m"


def _series(scope: Scope, name: str) -> str:
    return scope.series(f"gateway_{name}", JOB, vm="vm")


def workers(scope: Scope) -> str:
    """Live workers; over time the fewest."""
    return total(scope.lowest(_series(scope, "worker_up")))


def workers_expected(scope: Scope) -> str:
    """Configured workers."""
    return total(_series(scope, "workers_expected"))


def workers_missing(scope: Scope) -> str:
    """Configured workers that are not live."""
    return f"{workers_expected(scope)} - {workers(scope)}"


def workers_missing_by_instance(scope: Scope) -> str:
    """Missing workers of each gateway."""
    expected, live = _series(scope, "workers_expected"), _series(scope, "worker_up")
    return f"sum by (instance, vm) ({expected}) - sum by (instance, vm) ({live})"


def loop_lag(scope: Scope, number: float, *by: str) -> str:
    """How late the event loop's timers fire, in seconds."""
    if scope.interval:
        return downsampling.quantile(scope, LOOP_LAG, number, by=by, vm="vm")
    return quantile(number, scope.rate(_series(scope, "event_loop_lag_seconds_bucket")), *by)


def loop_lag_by_instance(scope: Scope) -> str:
    """The 95th percentile of each gateway's event loop lag, in seconds."""
    return loop_lag(scope, 0.95, "instance", "vm")


def lost_requests(scope: Scope) -> str:
    """Requests that started, never finished and are not in flight: lost with a killed worker."""
    started = total(scope.series("gateway_requests_started_total", JOB, model="model", vm="vm"))
    ended = total(scope.series("gateway_requests_total", JOB, model="model", vm="vm"))
    return f"{started} - {ended} - {in_flight(scope)}"


def auth_failures_by_vm(scope: Scope) -> str:
    """Requests in the window with a missing or invalid key, by VM and reason."""
    failures = f"increase({_series(scope, 'auth_failures_total')}[{scope.window}])"
    return f"round({total(failures, 'vm', 'reason')})"


def auth_failures(scope: Scope) -> str:
    """Requests per second with a missing or invalid key, by reason."""
    return downsampling.rate(scope, AUTH_FAILURES, _series(scope, "auth_failures_total"), "reason", vm="vm")


def label_overflow(scope: Scope) -> str:
    """Requests per second counted as `other`, because the limit of label values was reached."""
    return downsampling.rate(scope, LABEL_OVERFLOW, _series(scope, "label_overflow_total"), "metric", vm="vm")


def scrape_seconds(scope: Scope) -> str:
    """How long Prometheus' scrape of the gateway takes."""
    return f"max by (vm) ({scope.highest(scope.series('scrape_duration_seconds', JOB, vm='vm'))})"


def cpu_cores(scope: Scope) -> str:
    """CPU cores used by the gateway's processes."""
    return total(scope.rate(_series(scope, "process_cpu_seconds_total")), "vm")


def resident_bytes(scope: Scope) -> str:
    """Memory of the gateway's processes; over time the most."""
    return total(scope.highest(_series(scope, "process_resident_memory_bytes")), "vm")


def log_lines_lost(scope: Scope) -> str:
    """Log lines per second that could not be written."""
    return total(scope.rate(_series(scope, "log_lines_lost_total")))

"""When something was started, for the vertical lines on graphs."""

from observability.promql import Scope
from observability.queries import gateway

# Parts whose process tells when it began, one a machine: they start with the stack.
_TELLING = "prometheus|node-exporter|nginx"


def gateway_started(scope: Scope) -> str:
    """More than nothing for two minutes after a gateway's counters began anew, which only a new start does."""
    count = scope.series("gateway_event_loop_lag_seconds_count", gateway.JOB, vm="vm")
    return f"max by (vm) (resets({count}[2m])) > 0"


def engine_ready(scope: Scope) -> str:
    """Since when each engine has been ready, in milliseconds."""
    since = scope.series("launcher_up_since_timestamp_seconds", ".+-launcher", vm="vm")
    return f"max by (job, vm) ({since}) * 1000"


def deployed(scope: Scope) -> str:
    """Since when the stack's other parts have run, in milliseconds."""
    since = scope.series("process_start_time_seconds", _TELLING, vm="vm")
    return f"max by (job, vm) ({since}) * 1000"

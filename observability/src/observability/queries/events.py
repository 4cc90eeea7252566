"""When parts of the stack were started, for annotations."""

from observability.promql import Scope
from observability.queries.gateway import JOB

# Parts that export their start time, one of each per machine; they start with the stack.
_STARTED_WITH_STACK = "prometheus|node-exporter|nginx"


def gateway_started(scope: Scope) -> str:
    """Positive for two minutes after a gateway's counters were reset, which only a new start does."""
    count = scope.series("gateway_event_loop_lag_seconds_count", JOB, vm="vm")
    return f"max by (vm) (resets({count}[2m])) > 0"


def engine_ready(scope: Scope) -> str:
    """When each engine became ready, in milliseconds."""
    since = scope.series("launcher_up_since_timestamp_seconds", ".+-launcher", vm="vm")
    return f"max by (job, vm) ({since}) * 1000"


def deployed(scope: Scope) -> str:
    """When the stack's other parts were started, in milliseconds."""
    since = scope.series("process_start_time_seconds", _STARTED_WITH_STACK, vm="vm")
    return f"max by (job, vm) ({since}) * 1000"

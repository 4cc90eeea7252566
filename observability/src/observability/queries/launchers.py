"""What engine launchers report: state, start phases and starts."""

from observability import downsampling
from observability.promql import Scope, total

STATES = ("ready", "starting", "draining", "failed")
JOBS = ".+-launcher"
# Recorded (`recording.launchers`, `recording.extremes`).
STARTS = "job:launcher_start_attempts:increase1m"
CAPACITY = "job:launcher_capacity:max15s"
STEP_SECONDS = 60


def state_code(scope: Scope) -> str:
    """The state of each launcher's engine as its index in STATES, from 1; over time, the worst."""
    selectors = (_launcher(scope, "launcher_state", f'state="{state}"') for state in STATES)
    codes = (f"({scope.highest(selector)} == 1) * {code}" for code, selector in enumerate(selectors, start=1))
    return f"max by (job, vm) ({' or '.join(codes)})"


def phase_seconds(scope: Scope) -> str:
    """The duration of each phase of the latest start."""
    return f"max by (job, vm, phase) ({_launcher(scope, 'launcher_phase_seconds')})"


def start_attempts(scope: Scope) -> str:
    """Counters of attempts to start an engine."""
    return _launcher(scope, "launcher_start_attempts_total")


def starts(scope: Scope) -> str:
    """Starts of each engine in the window."""
    return downsampling.gained(scope, STARTS, start_attempts(scope), "job", vm="vm")


def starts_by_cause(scope: Scope) -> str:
    """Starts of each engine in the window, with its model and the reason of its last failure where there was one."""
    starts = _by_engine(f"round(increase({_launcher(scope, 'launcher_start_attempts_total')}[{scope.window}]))")
    reasons = f"topk by (job, instance, vm) (1, {_launcher(scope, 'launcher_last_failure_info')})"
    target = "on (job, instance, vm)"
    return f"{starts} * {target} group_left (model, reason) {reasons} or {starts} unless {target} {reasons}"


def _by_engine(expression: str) -> str:
    """Names the engine of each launcher by its job."""
    return f'label_replace({expression}, "engine", "$1", "job", "(.+)-launcher")'


def ready_seconds(scope: Scope) -> str:
    """Seconds since each engine became ready."""
    return f"time() - min by (job) ({_launcher(scope, 'launcher_up_since_timestamp_seconds')})"


def capacities(scope: Scope) -> str:
    """The limits that the engines of a launcher were configured with, by `kind`."""
    return total(scope.highest(_launcher(scope, "launcher_capacity")), "job", "vm", "kind")


def capacity(scope: Scope, engine: str, kind: str, *by: str) -> str:
    """A limit that engines were configured with, over all of them or each, from a recorded series.

    Args:
        scope: the window.
        engine: the engines' job, vllm or llamacpp.
        kind: such as slots or max_num_seqs.
        by: labels of the result.
    """
    aggregation = f"sum by ({', '.join(by)})" if by else "sum"
    matchers = f'job="{engine}-launcher", kind="{kind}"'
    return downsampling.over_time(scope, CAPACITY, aggregation, matchers, vm="vm")


def _launcher(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(name, JOBS, *matchers, vm="vm")

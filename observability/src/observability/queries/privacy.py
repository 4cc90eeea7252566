"""What the privacy canary reports: where its prompt was found, and when it last could look everywhere."""

from observability.promql import Scope, share

JOB = "privacy-canary"
# One that has gone has no series any more, and its last ones say since when.
_LAST = "1d"


def found(scope: Scope) -> str:
    """Findings of the canary's prompt in its latest run, by place; a place that could not be read has none."""
    return f"max by (place, vm) ({_series(scope, 'privacy_canary_found')})"


def readable(scope: Scope) -> str:
    """1 for each place that the latest run could read, 0 for the others."""
    return f"min by (place, vm) ({_series(scope, 'privacy_canary_readable')})"


def seconds_since_complete_run(scope: Scope) -> str:
    """Seconds since the latest run that got its answers and could read every place."""
    return f"time() - min by (vm) ({_series(scope, 'privacy_canary_last_run_timestamp_seconds')} > 0)"


def intervals_since_complete_run(scope: Scope) -> str:
    """The same in intervals, counted from the canary's start before its first such run; also after it has gone."""
    last, started, interval = (
        f"max by (instance, vm) (last_over_time({_series(scope, name)}[{_LAST}]))"
        for name in (
            "privacy_canary_last_run_timestamp_seconds",
            "process_start_time_seconds",
            "privacy_canary_interval_seconds",
        )
    )
    return share(f"(time() - ({last} > 0 or {started}))", interval)


def _series(scope: Scope, name: str) -> str:
    return scope.series(name, JOB, vm="vm")

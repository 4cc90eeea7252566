"""What the gateway's smaller counters gained each minute, for the graphs of the Gateway dashboard."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries.gateway import JOB, engines, history, process, requests
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A gateway that could not be scraped for so long has its events counted when it can.
_LONGEST_GAP = "15m"
# The series, its counter, and its labels beyond `vm`.
_COUNTERS = (
    (engines.ATTEMPTS, "engine_requests_total", ("engine", "result")),
    (engines.RETRIES, "engine_retries_total", ("engine",)),
    (requests.CANCELLATIONS, "cancellations_total", ("phase",)),
    (requests.TIMEOUTS, "timeouts_total", ("phase",)),
    (process.AUTH_FAILURES, "auth_failures_total", ("reason",)),
    (process.LABEL_OVERFLOW, "label_overflow_total", ("metric",)),
    (process.LOOP_LAG, "event_loop_lag_seconds_bucket", ("le",)),
)


def group() -> Group:
    """The group."""
    series = {name: _increase(counter, *labels) for name, counter, labels in _COUNTERS}
    return Group("glasshouse-gateway", history.STEP_SECONDS, series)


def _increase(counter: str, *labels: str) -> str:
    counters, delay = _SCOPE.series(f"gateway_{counter}", JOB), settings.SCRAPE_INTERVAL_SECONDS
    increase = increase_between_evaluations(counters, JOB, history.STEP_SECONDS, delay, _LONGEST_GAP)
    return total(increase, "vm", *labels)

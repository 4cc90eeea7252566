"""The gateway's attempts at engines: what came of them, and what it did then."""

from observability.promql import Scope, share, total
from observability.queries import gateway


def _series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_engine_{name}", gateway.JOB, *matchers, engine="engine", vm="vm")


def by_result(scope: Scope) -> str:
    """Attempts per second by what came of them."""
    return total(scope.rate(_series(scope, "requests_total")), "result")


def by_engine(scope: Scope) -> str:
    """Attempts per second by engine: how the load is spread."""
    return total(scope.rate(_series(scope, "requests_total")), "engine")


def unfinished(scope: Scope) -> str:
    """Attempts per second that an engine did not bring to their end, by why."""
    return total(scope.rate(_series(scope, "requests_total", 'result!="ok"')), "result")


def failed_share(scope: Scope) -> str:
    """Attempts that failed through the engine's fault, of all at that engine."""
    faults = _series(scope, "requests_total", 'result!~"ok|cancelled|rejected|busy"')
    failed = total(scope.rate(faults), "engine")
    return share(failed, total(scope.rate(_series(scope, "requests_total")), "engine"))


def retries(scope: Scope) -> str:
    """Attempts per second that went on to another engine, by the one that failed."""
    return total(scope.rate(_series(scope, "retries_total")), "engine")


def ejections(scope: Scope) -> str:
    """How often each engine was taken out in the window."""
    return total(f"increase({_series(scope, 'ejections_total')}[{scope.window}])", "engine")

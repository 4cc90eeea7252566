"""Engines as the gateway sees them: their states and models, and the results of its attempts."""

from observability.promql import Scope, share, total
from observability.queries.gateway import JOB

STATES = ("ready", "starting", "draining", "ejected", "down", "failed")


def _series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_engine_{name}", JOB, *matchers, engine="engine", vm="vm")


def state_code(scope: Scope) -> str:
    """The state of each engine as its index in STATES, from 1."""
    selectors = [_series(scope, "state", f'state="{state}"') for state in STATES]
    codes = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, start=1))
    return f"max by (engine, vm) ({' or '.join(codes)})"


def is_ready(scope: Scope) -> str:
    """1 while an engine is ready, by each gateway."""
    return _series(scope, "state", 'state="ready"')


def ready(scope: Scope) -> str:
    """The number of ready engines."""
    return f"sum(max by (engine, vm) ({is_ready(scope)}))"


def served_models(scope: Scope, *matchers: str) -> str:
    """1 for each model that an engine serves, 0 for one that it no longer serves."""
    return scope.series("gateway_engine_model", JOB, *matchers, engine="engine", model="model", vm="vm")


def models_by_engine(scope: Scope) -> str:
    """Whether an engine serves a model, for each pair."""
    return f"max by (model, engine, kind, vm) ({served_models(scope)})"


def attempts_by_result(scope: Scope) -> str:
    """Attempts per second by result."""
    return total(scope.rate(_series(scope, "requests_total")), "result")


def attempts_by_engine(scope: Scope) -> str:
    """Attempts per second by engine: how the load is spread."""
    return total(scope.rate(_series(scope, "requests_total")), "engine")


def unfinished_attempts(scope: Scope) -> str:
    """Attempts per second that did not complete, by result."""
    return total(scope.rate(_series(scope, "requests_total", 'result!="ok"')), "result")


def failed_attempt_share(scope: Scope) -> str:
    """The share of each engine's attempts that failed through its own fault."""
    faults = _series(scope, "requests_total", 'result!~"ok|cancelled|rejected|busy"')
    failed = total(scope.rate(faults), "engine")
    return share(failed, total(scope.rate(_series(scope, "requests_total")), "engine"))


def retries(scope: Scope) -> str:
    """Retries per second on another engine, by the engine that failed."""
    return total(scope.rate(_series(scope, "retries_total")), "engine")


def ejections(scope: Scope) -> str:
    """Ejections of each engine in the window."""
    return total(f"increase({_series(scope, 'ejections_total')}[{scope.window}])", "engine")

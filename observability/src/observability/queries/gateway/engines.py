"""Engines as the gateway sees them: their states and models, and the results of its attempts."""

from observability import downsampling
from observability.promql import Scope, share, total
from observability.queries.gateway import JOB

# Recorded (`recording.gateway`): what came in each minute.
RETRIES = "engine:gateway_engine_retries:increase1m"
ATTEMPTS = "engine:gateway_engine_requests:increase1m"
STATES = ("ready", "starting", "draining", "ejected", "down", "failed")
# Two numbers in one, since a tile shows one: see `ready_of_all`.
ENGINES_FACTOR = 100


def _series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_engine_{name}", JOB, *matchers, engine="engine", vm="vm")


def state_code(scope: Scope) -> str:
    """The state of each engine as its index in STATES, from 1; over time the worst one."""
    selectors = [scope.highest(_series(scope, "state", f'state="{state}"')) for state in STATES]
    codes = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, start=1))
    return f"max by (engine, vm) ({' or '.join(codes)})"


def is_ready(scope: Scope) -> str:
    """1 while an engine is ready, by each gateway."""
    return _series(scope, "state", 'state="ready"')


def ready_of_all(scope: Scope) -> str:
    """The number of ready engines, plus ENGINES_FACTOR times the number of all: 302 is two of three."""
    by_engine = f"max by (engine, vm) ({is_ready(scope)})"
    return f"sum({by_engine}) + {ENGINES_FACTOR} * count({by_engine})"


def served_models(scope: Scope, *matchers: str) -> str:
    """1 for each model that an engine serves, 0 for one that it no longer serves."""
    return scope.series("gateway_engine_model", JOB, *matchers, engine="engine", model="model", vm="vm")


def models_by_engine(scope: Scope) -> str:
    """Whether an engine serves a model, for each pair."""
    return f"max by (model, engine, kind, vm) ({served_models(scope)})"


def attempts_by_result(scope: Scope) -> str:
    """Attempts per second by result."""
    return _attempts(scope, by="result")


def attempts_by_engine(scope: Scope) -> str:
    """Attempts per second by engine: how the load is spread."""
    return _attempts(scope, by="engine")


def unfinished_attempts(scope: Scope) -> str:
    """Attempts per second that did not complete, by result."""
    return _attempts(scope, 'result!="ok"', by="result")


def failed_attempt_share(scope: Scope) -> str:
    """The share of each engine's attempts that failed through its own fault."""
    failed = _attempts(scope, 'result!~"ok|cancelled|rejected|busy"', by="engine")
    return share(failed, _attempts(scope, by="engine"))


def retries(scope: Scope) -> str:
    """Retries per second on another engine, by the engine that failed."""
    return downsampling.rate(scope, RETRIES, _series(scope, "retries_total"), "engine", engine="engine", vm="vm")


def ejections(scope: Scope) -> str:
    """Ejections of each engine in the window."""
    return total(scope.increase(_series(scope, "ejections_total")), "engine")


def probes(scope: Scope) -> str:
    """One-token probes per minute by engine and result; they are no requests of clients."""
    return f"{total(scope.rate(_series(scope, 'probes_total')), 'engine', 'result')} * 60"


def _attempts(scope: Scope, *matchers: str, by: str) -> str:
    return downsampling.per_second(scope, ATTEMPTS, *matchers, by=(by,), engine="engine", vm="vm")

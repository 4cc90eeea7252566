"""Models as clients meet them: whether a ready engine serves them, and how many of their streams are slow."""

from observability.promql import Scope, share, total
from observability.queries.gateway import JOB, engines
from observability.queries.gateway.requests import first_tokens, first_tokens_within

_BY_MODEL = ("vm", "model")


def without_ready_engine(scope: Scope) -> str:
    """1 for each model and engine that serves it, where no such engine is ready. Models stay known while it is away."""
    served = f"max by (vm, model, engine) ({engines.served_models(scope)} == 1)"
    ready = f"(max by (vm, engine) ({engines.is_ready(scope)}) == 1)"
    return f"{served} unless on (vm, model) ({served} and on (vm, engine) {ready})"


def slow_first_tokens(scope: Scope, seconds: float) -> str:
    """Streams of each model in the window whose first token took longer; `seconds` is a bound of a bucket."""
    return _difference(scope, first_tokens(scope), first_tokens_within(scope, seconds))


def slow_first_tokens_share(scope: Scope, seconds: float, minimum: int) -> str:
    """Their share of the model's streams, empty while fewer than `minimum` were slow."""
    return _share_of_many(scope, slow_first_tokens(scope, seconds), first_tokens(scope), minimum)


def slow_output_share(scope: Scope, seconds: float, minimum: int) -> str:
    """The share of each model's streams whose output tokens took longer than `seconds` each, a bound of a bucket."""
    streams, fast = (
        scope.series(f"gateway_time_per_output_token_seconds_{suffix}", JOB, *matchers, model="model", vm="vm")
        for suffix, matchers in (("count", ()), ("bucket", (f'le="{seconds}"',)))
    )
    return _share_of_many(scope, _difference(scope, streams, fast), streams, minimum)


def _share_of_many(scope: Scope, part: str, whole: str, minimum: int) -> str:
    return f"{share(f'({part})', _increase(scope, whole))} and {part} >= {minimum}"


def _difference(scope: Scope, whole: str, part: str) -> str:
    return f"{_increase(scope, whole)} - {_increase(scope, part)}"


def _increase(scope: Scope, counters: str) -> str:
    return total(f"increase({counters}[{scope.window}])", *_BY_MODEL)

"""What the gateway measured: requests, outcomes, latency, tokens, engines as it sees them."""

from observability import settings
from observability.promql import Scope, quantile, share, share_of_each, total

JOB = "gateway"
NO_HEALTH_CHECK = f'route!~"{"|".join(settings.HEALTH_ROUTES)}"'
_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'


def _by_model(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, model="model", vm="vm")


def _by_engine(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, engine="engine", vm="vm")


def _plain(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, vm="vm")


def requests(scope: Scope, *matchers: str) -> str:
    """Counters of requests that ended. Health checks are none: asked every few seconds, they would drown all others."""
    return _by_model(scope, "requests_total", NO_HEALTH_CHECK, *matchers)


def judged(scope: Scope) -> str:
    """Counters of the requests that the service is judged by: not those that clients spoiled, left or may not make."""
    return requests(scope, _JUDGED)


def failed(scope: Scope) -> str:
    """Counters of those that failed through no fault of the client."""
    return requests(scope, _FAILED)


def first_tokens(scope: Scope) -> str:
    """Counters of the streams that got a first token."""
    return _by_model(scope, "time_to_first_token_seconds_count")


def first_tokens_within(scope: Scope, seconds: float) -> str:
    """Counters of those that got it in time; `seconds` is a bound of a bucket."""
    return _by_model(scope, "time_to_first_token_seconds_bucket", f'le="{seconds}"')


def failed_share(scope: Scope) -> str:
    """Failed through no fault of the client, of all that the service is judged by."""
    failed = total(scope.rate(requests(scope, _FAILED)))
    return share(failed, total(scope.rate(requests(scope, _JUDGED))))


def availability(scope: Scope) -> str:
    """One minus the failed share."""
    return f"1 - {failed_share(scope)}"


def requests_by_outcome(scope: Scope) -> str:
    """Requests finished per second."""
    return total(scope.rate(requests(scope)), "outcome")


def share_by_outcome(scope: Scope) -> str:
    """Each outcome but `ok`, as a share of all requests finished."""
    parts = total(scope.rate(requests(scope, 'outcome!="ok"')), "outcome")
    return share_of_each(parts, total(scope.rate(requests(scope))))


def cancelled_share(scope: Scope) -> str:
    """Requests whose client left, of all finished."""
    cancelled = total(scope.rate(requests(scope, 'outcome="cancelled"')))
    return share(cancelled, total(scope.rate(requests(scope))))


def cancelled_share_of_many(scope: Scope, least: int) -> str:
    """The cancelled share, absent while fewer were cancelled in the window."""
    cancelled = requests(scope, 'outcome="cancelled"')
    return f"{cancelled_share(scope)} and {total(f'increase({cancelled}[{scope.window}])')} >= {least}"


def time_to_first_token(scope: Scope, number: float, *labels: str) -> str:
    """Seconds until the first token went out; streams only."""
    return quantile(number, scope.rate(_by_model(scope, "time_to_first_token_seconds_bucket")), *labels)


def time_per_output_token(scope: Scope, number: float) -> str:
    """Seconds between output tokens, as each request's mean; streams only."""
    return quantile(number, scope.rate(_by_model(scope, "time_per_output_token_seconds_bucket")))


def output_tokens(scope: Scope, *labels: str) -> str:
    """Output tokens per second."""
    return total(scope.rate(_by_model(scope, "tokens_total", 'type="output"')), *labels)


def in_flight(scope: Scope, *labels: str) -> str:
    """Requests begun and not finished."""
    return total(_by_model(scope, "inflight_requests"), *labels)


def cancellations(scope: Scope) -> str:
    """Clients that left, per second, by when."""
    return total(scope.rate(_plain(scope, "cancellations_total")), "phase")


def timeouts(scope: Scope) -> str:
    """Requests that ran out of time, per second, by phase."""
    return total(scope.rate(_plain(scope, "timeouts_total")), "phase")


def wasted_tokens(scope: Scope) -> str:
    """Events per second that nobody got to the end of."""
    return total(scope.rate(_by_model(scope, "wasted_tokens_total")), "reason")


ENGINE_STATES = ("ready", "starting", "draining", "ejected", "down", "failed")


def engine_state_code(scope: Scope) -> str:
    """For each engine the place of its state in ENGINE_STATES, from 1."""
    selectors = [_by_engine(scope, "engine_state", f'state="{state}"') for state in ENGINE_STATES]
    codes = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, start=1))
    return f"max by (engine, vm) ({' or '.join(codes)})"


def models_of_engines(scope: Scope, *matchers: str) -> str:
    """1 for each model that an engine serves, 0 for one that it no longer does."""
    return scope.series("gateway_engine_model", JOB, *matchers, engine="engine", model="model", vm="vm")


def served_by(scope: Scope) -> str:
    """Whether an engine serves a model, for each of both."""
    return f"max by (model, engine, kind, vm) ({models_of_engines(scope)})"


def engines_ready(scope: Scope) -> str:
    """How many engines can answer."""
    ready = _by_engine(scope, "engine_state", 'state="ready"')
    return f"sum(max by (engine, vm) ({ready}))"

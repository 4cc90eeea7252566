"""The gateway's requests: how many, how they end, how long they take, how many tokens they produce."""

from observability import settings
from observability.promql import Scope, quantile, share, share_of_each, total
from observability.queries import vllm
from observability.queries.gateway import JOB
from observability.queries.gateway.engines import served_models

NO_HEALTH_CHECK = f'route!~"{"|".join(settings.HEALTH_ROUTES)}"'
_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'
_ANSWERED = "|".join(("ok", "cancelled", *settings.FAILED_OUTCOMES))
_NO_VLLM = 'kind!="vllm"'


def _by_model(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, model="model", vm="vm")


def _unfiltered(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, vm="vm")


# ---- Counters, for rates over other windows


def requests(scope: Scope, *matchers: str) -> str:
    """Counters of finished requests, without health checks: sent every few seconds, they would outnumber the others."""
    return _by_model(scope, "requests_total", NO_HEALTH_CHECK, *matchers)


def judged(scope: Scope) -> str:
    """Counters of the requests that availability is measured by: successes and failures on the server's side."""
    return requests(scope, _JUDGED)


def failed(scope: Scope) -> str:
    """Counters of the requests that failed on the server's side."""
    return requests(scope, _FAILED)


def first_tokens(scope: Scope) -> str:
    """Counters of the streams that got a first token."""
    return _by_model(scope, "time_to_first_token_seconds_count")


def first_tokens_within(scope: Scope, seconds: float) -> str:
    """Counters of the streams that got it in time; `seconds` is a bound of a bucket."""
    return _by_model(scope, "time_to_first_token_seconds_bucket", f'le="{seconds}"')


# ---- Requests and their outcomes


def finished(scope: Scope, *by: str) -> str:
    """Finished requests per second."""
    return total(scope.rate(requests(scope)), *by)


def failed_share(scope: Scope, *by: str) -> str:
    """The share of requests that failed on the server's side."""
    return share(total(scope.rate(failed(scope)), *by), total(scope.rate(judged(scope)), *by))


def availability(scope: Scope) -> str:
    """One minus the failed share."""
    return f"1 - {failed_share(scope)}"


def cancelled_share(scope: Scope, *by: str) -> str:
    """The share of requests that the client cancelled."""
    return share(total(scope.rate(requests(scope, 'outcome="cancelled"')), *by), finished(scope, *by))


def cancelled_share_of_many(scope: Scope, minimum: int) -> str:
    """The share of each VM's requests that were cancelled, empty while fewer than `minimum` were in the window.

    Of those that an engine was to answer: what the client got wrong or may not do would dilute it.
    """
    cancelled, answered = (
        total(f"increase({requests(scope, matcher)}[{scope.window}])", "vm")
        for matcher in ('outcome="cancelled"', f'outcome=~"{_ANSWERED}"')
    )
    return f"{share(cancelled, answered)} and {cancelled} >= {minimum}"


def by_outcome(scope: Scope) -> str:
    """Finished requests per second by outcome."""
    return finished(scope, "outcome")


def share_by_outcome(scope: Scope) -> str:
    """Each outcome but `ok`, as a share of all finished requests."""
    parts = total(scope.rate(requests(scope, 'outcome!="ok"')), "outcome")
    return share_of_each(parts, finished(scope))


def by_code(scope: Scope) -> str:
    """Responses per second by status code."""
    return finished(scope, "code")


def in_flight(scope: Scope, *labels: str) -> str:
    """Requests that have started and not finished."""
    return total(_by_model(scope, "inflight_requests"), *labels)


def cancellations(scope: Scope) -> str:
    """Cancelled requests per second by phase."""
    return total(scope.rate(_unfiltered(scope, "cancellations_total")), "phase")


def timeouts(scope: Scope) -> str:
    """Timed-out requests per second by phase."""
    return total(scope.rate(_unfiltered(scope, "timeouts_total")), "phase")


# ---- Latency


def duration(scope: Scope, number: float, *by: str, stream: str = "") -> str:
    """Seconds from the request's first byte to the response's last; `stream` is true, false, or empty for both."""
    matchers = (f'stream="{stream}"',) if stream else ()
    buckets = _by_model(scope, "request_duration_seconds_bucket", NO_HEALTH_CHECK, *matchers)
    return quantile(number, scope.rate(buckets), *by)


def time_to_first_token(scope: Scope, number: float, *by: str) -> str:
    """Seconds to the first token; streams only."""
    return quantile(number, scope.rate(_by_model(scope, "time_to_first_token_seconds_bucket")), *by)


def time_per_output_token(scope: Scope, number: float, *by: str) -> str:
    """Seconds between output tokens, as the mean of each request; streams only."""
    return quantile(number, scope.rate(_by_model(scope, "time_per_output_token_seconds_bucket")), *by)


def first_tokens_within_share(scope: Scope, bound: str) -> str:
    """The share of streams whose first token came within a bound, which must be one of the histogram's buckets."""
    within = total(scope.rate(_by_model(scope, "time_to_first_token_seconds_bucket", f'le="{bound}"')))
    return share(within, total(scope.rate(first_tokens(scope))))


def added_latency(scope: Scope) -> str:
    """Median time to first token at the gateway minus vLLM's own for the same model.

    Empty for a model that an engine of another kind serves too: the gateway's metrics by model include both.
    """
    engine = vllm.histogram_quantile(scope, "time_to_first_token_seconds", 0.5, "model_name")
    renamed = f'label_replace({engine}, "model", "$1", "model_name", "(.+)")'
    gateway = time_to_first_token(scope, 0.5, "model")
    others = f"max by (model) ({served_models(scope, _NO_VLLM)} == 1)"
    return f"sum by (model) ({gateway}) - sum by (model) ({renamed}) unless on (model) ({others})"


# ---- Tokens


def output_tokens(scope: Scope, *labels: str) -> str:
    """Output tokens per second."""
    return total(scope.rate(_by_model(scope, "tokens_total", 'type="output"')), *labels)


def wasted_tokens(scope: Scope) -> str:
    """Events per second of streams that nobody read to the end, by reason."""
    return total(scope.rate(_by_model(scope, "wasted_tokens_total")), "reason")


def wasted_share(scope: Scope) -> str:
    """The share of output that nobody read to the end: events, relative to tokens and events."""
    wasted = total(scope.rate(_by_model(scope, "wasted_tokens_total")))
    return share(wasted, f"({output_tokens(scope)} + {wasted})")

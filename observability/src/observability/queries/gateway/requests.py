"""The gateway's requests: how many, how they end, how long they take, how many tokens they produce."""

from observability import downsampling, settings
from observability.promql import Scope, quantile, share, total
from observability.queries.gateway import JOB

# Recorded (`recording.gateway`): what came in each minute.
CANCELLATIONS = "vm:gateway_cancellations:increase1m"
TIMEOUTS = "vm:gateway_timeouts:increase1m"
NO_HEALTH_CHECK = f'route!~"{"|".join(settings.HEALTH_ROUTES)}"'
_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'
# Refused for what the client sent or for how much: in no share of what the stack did with the others.
REFUSED_OUTCOMES = ("client_error", "rate_limited")
_ACCEPTED = f'outcome!~"{"|".join(REFUSED_OUTCOMES)}"'
_ANSWERED = "|".join(("ok", "cancelled", *settings.FAILED_OUTCOMES))


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


def accepted(scope: Scope) -> str:
    """Counters of the requests that were not refused: without client errors, which would dilute every share."""
    return requests(scope, _ACCEPTED)


def cancelled_share(scope: Scope, *by: str) -> str:
    """The share of accepted requests that the client cancelled."""
    cancelled = total(scope.rate(requests(scope, 'outcome="cancelled"')), *by)
    return share(cancelled, total(scope.rate(accepted(scope)), *by))


def cancelled_share_of_many(scope: Scope, minimum: int) -> str:
    """The share of each VM's requests that were cancelled, empty while fewer than `minimum` were in the window.

    Of those that an engine was to answer: what the client got wrong or may not do would dilute it.
    """
    cancelled, answered = (
        total(f"increase({requests(scope, matcher)}[{scope.window}])", "vm")
        for matcher in ('outcome="cancelled"', f'outcome=~"{_ANSWERED}"')
    )
    return f"{share(cancelled, answered)} and {cancelled} >= {minimum}"


def in_flight(scope: Scope, *labels: str) -> str:
    """Requests that have started and not finished; over time, the sum of each model's peak."""
    return total(scope.highest(_by_model(scope, "inflight_requests")), *labels)


def cancellations(scope: Scope) -> str:
    """Cancelled requests per second by phase."""
    return downsampling.rate(scope, CANCELLATIONS, _unfiltered(scope, "cancellations_total"), "phase", vm="vm")


def timeouts(scope: Scope) -> str:
    """Timed-out requests per second by phase."""
    return downsampling.rate(scope, TIMEOUTS, _unfiltered(scope, "timeouts_total"), "phase", vm="vm")


# ---- Latency


def duration_buckets(scope: Scope) -> str:
    """Buckets of the time from the request's first byte to the response's last."""
    return _by_model(scope, "request_duration_seconds_bucket", NO_HEALTH_CHECK)


def first_token_buckets(scope: Scope) -> str:
    """Buckets of the time to first token."""
    return _by_model(scope, "time_to_first_token_seconds_bucket")


def per_token_buckets(scope: Scope) -> str:
    """Buckets of the time per output token."""
    return _by_model(scope, "time_per_output_token_seconds_bucket")


def duration(scope: Scope, number: float, *by: str) -> str:
    """Seconds from the request's first byte to the response's last."""
    return quantile(number, scope.rate(duration_buckets(scope)), *by)


def time_to_first_token(scope: Scope, number: float, *by: str) -> str:
    """Seconds to the first token; streams only."""
    return quantile(number, scope.rate(first_token_buckets(scope)), *by)


def time_per_output_token(scope: Scope, number: float, *by: str) -> str:
    """Seconds between output tokens, as the mean of each request; streams only."""
    return quantile(number, scope.rate(per_token_buckets(scope)), *by)


# ---- Tokens


def all_tokens(scope: Scope) -> str:
    """Counters of tokens of every type."""
    return _by_model(scope, "tokens_total")


def tokens(scope: Scope, kind: str) -> str:
    """Counters of tokens; kind is input, cached_input (part of input), output or reasoning (part of output)."""
    return _by_model(scope, "tokens_total", f'type="{kind}"')


def length(scope: Scope, kind: str, number: float, *by: str) -> str:
    """A quantile of the tokens of a request; kind is input or output."""
    return quantile(number, scope.rate(_by_model(scope, f"request_{kind}_tokens_bucket")), *by)


def output_tokens(scope: Scope, *labels: str) -> str:
    """Output tokens per second."""
    return total(scope.rate(tokens(scope, "output")), *labels)


def wasted_tokens(scope: Scope) -> str:
    """Events per second of streams that nobody read to the end, by reason."""
    return total(scope.rate(_by_model(scope, "wasted_tokens_total")), "reason")


def wasted_share(scope: Scope) -> str:
    """The share of output that nobody read to the end: events, relative to tokens and events."""
    wasted = total(scope.rate(_by_model(scope, "wasted_tokens_total")))
    return share(wasted, f"({output_tokens(scope)} + {wasted})")

"""The gateway's requests over any range, from series that Prometheus records for dashboards (`recording.dashboards`).

A counter is scraped every few seconds, and each request counts in one of many of them: seven days of all are tens of
millions of samples, read at each refresh. Recorded are a few sums, as what came in each step: a sum of these is exact
to the step, where `increase` extrapolates to the ends of a range, and a restart of the gateway loses nothing.
"""

from observability import settings
from observability.promql import Scope, quantile, share, share_of_each, total
from observability.queries.gateway import requests

# A sample a minute: seven days are 10 000 of each series, where a scrape every five seconds makes 120 000.
STEP_SECONDS = 60

REQUESTS = "model:gateway_requests:increase1m"
TOKENS = "model:gateway_tokens:increase1m"
NGINX_OWN = "vm:nginx_own_responses:increase1m"
DURATION = "model:gateway_request_duration_seconds_bucket:increase1m"
TTFT = "model:gateway_time_to_first_token_seconds_bucket:increase1m"
TPOT = "model:gateway_time_per_output_token_seconds_bucket:increase1m"

_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'
_ACCEPTED = f'outcome!~"{"|".join(requests.REFUSED_OUTCOMES)}"'
_NOT_OK = f'outcome!~"{"|".join(("ok", *requests.REFUSED_OUTCOMES))}"'


def _by_model(scope: Scope, name: str, *matchers: str) -> str:
    return scope.recorded(name, *matchers, model="model", vm="vm")


def _count(scope: Scope, *matchers: str, by: tuple[str, ...] = ()) -> str:
    return total(scope.count(_by_model(scope, REQUESTS, *matchers)), *by)


def finished(scope: Scope, *by: str) -> str:
    """Finished requests in the window, without health checks."""
    return _count(scope, by=by)


def failed_share(scope: Scope, *by: str) -> str:
    """The share of requests that failed on the server's side."""
    return share(_count(scope, _FAILED, by=by), _count(scope, _JUDGED, by=by))


def availability(scope: Scope) -> str:
    """The share of requests that succeeded, of these and those that failed in the gateway or in nginx before it.

    What nginx answers itself with a 5xx has no model.
    """
    own = f"({total(scope.count(scope.recorded(NGINX_OWN, vm='vm')))} or vector(0))"
    return f"1 - {share(f'({_count(scope, _FAILED)} + {own})', f'({_count(scope, _JUDGED)} + {own})')}"


def cancelled_share(scope: Scope, *by: str) -> str:
    """The share of accepted requests that the client cancelled."""
    return share(_count(scope, 'outcome="cancelled"', by=by), _count(scope, _ACCEPTED, by=by))


def not_ok_share(scope: Scope) -> str:
    """Each outcome but success and refusal, as a share of the accepted requests."""
    return share_of_each(_count(scope, _NOT_OK, by=("outcome",)), _count(scope, _ACCEPTED))


def request_rate(scope: Scope, *by: str) -> str:
    """Finished requests per second."""
    return _per_second(scope, _by_model(scope, REQUESTS), *by)


def token_rate(scope: Scope, kind: str, *by: str) -> str:
    """Tokens per second; kind is input, cached_input (part of input), output or reasoning (part of output)."""
    return _per_second(scope, _by_model(scope, TOKENS, f'type="{kind}"'), *by)


def latency(scope: Scope, histogram: str, number: float, *by: str) -> str:
    """A quantile of one of the recorded histograms, in seconds."""
    return quantile(number, scope.count(_by_model(scope, histogram)), *by)


def buckets(scope: Scope, histogram: str) -> str:
    """How many requests in the window were not slower than each bound of a recorded histogram: for a heatmap."""
    return total(scope.count(_by_model(scope, histogram)), "le")


def within_share(scope: Scope, bound: str) -> str:
    """The share of streams whose first token came within a bound of a bucket, written as exposed."""
    within = total(scope.count(_by_model(scope, TTFT, f'le="{bound}"')))
    return share(within, total(scope.count(_by_model(scope, TTFT, 'le="+Inf"'))))


def _per_second(scope: Scope, increases: str, *by: str) -> str:
    mean_increase = total(f"avg_over_time({scope.over(increases)})", *by)
    return f"{mean_increase} / {STEP_SECONDS}"

"""The gateway's requests over any range, from series that Prometheus records for dashboards (`recording.dashboards`).

A counter is scraped every few seconds, and each request counts in one of many of them: seven days of all are tens of
millions of samples, read at each refresh. Recorded are a few sums, as what came in each step: a sum of these is exact
to the step, where `increase` extrapolates to the ends of a range, and a restart of the gateway loses nothing.
"""

from observability import downsampling, settings
from observability.promql import Scope, share, share_of_each
from observability.queries import vllm
from observability.queries.gateway import engines, requests

# A sample a minute: seven days are 10 000 of each series, where a scrape every five seconds makes 120 000.
STEP_SECONDS = 60

REQUESTS_BY_ROUTE = "route:gateway_requests:increase1m"
REQUESTS = "model:gateway_requests:increase1m"
TOKENS = "model:gateway_tokens:increase1m"
NGINX_OWN = "vm:nginx_own_responses:increase1m"
DURATION_BY_ROUTE = "route:gateway_request_duration_seconds_bucket:increase1m"
DURATION = "model:gateway_request_duration_seconds_bucket:increase1m"
TTFT = "model:gateway_time_to_first_token_seconds_bucket:increase1m"
TPOT = "model:gateway_time_per_output_token_seconds_bucket:increase1m"

_LABELS = {"model": "model", "vm": "vm"}
_NO_VLLM = 'kind!="vllm"'
_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'
_ACCEPTED = f'outcome!~"{"|".join(requests.REFUSED_OUTCOMES)}"'
_NOT_OK = f'outcome!~"{"|".join(("ok", *requests.REFUSED_OUTCOMES))}"'


def _requests(by: tuple[str, ...]) -> str:
    """The smallest recorded series of requests that has these labels."""
    return REQUESTS if set(by) <= {"model", "outcome"} else REQUESTS_BY_ROUTE


def _count(scope: Scope, name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    return downsampling.count(scope, name, *matchers, by=by, **_LABELS)


def _per_second(scope: Scope, name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    return downsampling.per_second(scope, name, *matchers, by=by, **_LABELS)


def finished(scope: Scope, *by: str) -> str:
    """Finished requests in the window, without health checks."""
    return _count(scope, _requests(by), by=by)


def failed_share(scope: Scope, *by: str) -> str:
    """The share of requests that failed on the server's side."""
    return share(_count(scope, _requests(by), _FAILED, by=by), _count(scope, _requests(by), _JUDGED, by=by))


def availability(scope: Scope) -> str:
    """The share of requests that succeeded, of these and those that failed in the gateway or in nginx before it.

    What nginx answers itself with a 5xx has no model.
    """
    responses = downsampling.count(scope, NGINX_OWN, vm="vm")
    failed, judged = (
        f"({_count(scope, REQUESTS, outcomes)} + ({responses} or vector(0)))" for outcomes in (_FAILED, _JUDGED)
    )
    return f"1 - {share(failed, judged)}"


def cancelled_share(scope: Scope, *by: str) -> str:
    """The share of accepted requests that the client cancelled."""
    cancelled = _count(scope, REQUESTS, 'outcome="cancelled"', by=by)
    return share(cancelled, _count(scope, REQUESTS, _ACCEPTED, by=by))


def not_ok_share(scope: Scope) -> str:
    """Each outcome but success and refusal, as a share of the accepted requests."""
    return share_of_each(_count(scope, REQUESTS, _NOT_OK, by=("outcome",)), _count(scope, REQUESTS, _ACCEPTED))


def request_rate(scope: Scope, *by: str) -> str:
    """Finished requests per second."""
    return _per_second(scope, _requests(by), by=by)


def token_rate(scope: Scope, kind: str, *by: str) -> str:
    """Tokens per second; kind is input, cached_input (part of input), output or reasoning (part of output)."""
    return _per_second(scope, TOKENS, f'type="{kind}"', by=by)


def latency(scope: Scope, histogram: str, number: float, *by: str, stream: str = "") -> str:
    """A quantile of one of the recorded histograms, in seconds.

    `stream` (of DURATION_BY_ROUTE alone) is true, false, or empty for both.
    """
    matchers = (f'stream="{stream}"',) if stream else ()
    return downsampling.quantile(scope, histogram, number, *matchers, by=by, **_LABELS)


def added_latency(scope: Scope) -> str:
    """Median time to first token at the gateway minus vLLM's own for the same model.

    Empty for a model that an engine of another kind serves too: the gateway's metrics by model include both.
    """
    engine = vllm.histogram_quantile(scope, "time_to_first_token_seconds", 0.5, "model_name")
    renamed = f'label_replace({engine}, "model", "$1", "model_name", "(.+)")'
    gateway = latency(scope, TTFT, 0.5, "model")
    others = f"max by (model) ({engines.served_models(scope, _NO_VLLM)} == 1)"
    return f"sum by (model) ({gateway}) - sum by (model) ({renamed}) unless on (model) ({others})"


def buckets(scope: Scope, histogram: str) -> str:
    """How many requests in the window were not slower than each bound of a recorded histogram: for a heatmap."""
    return _count(scope, histogram, by=("le",))


def within_share(scope: Scope, bound: str) -> str:
    """The share of streams whose first token came within a bound of a bucket, written as exposed."""
    return share(_count(scope, TTFT, f'le="{bound}"'), _count(scope, TTFT, 'le="+Inf"'))

"""What each key used, how its requests went, and what they cost.

Over the selected range, what came in each step is added up, which Prometheus records (`recording.cost`): that is exact
to the step, where `increase` extrapolates.
"""

from observability import downsampling, settings
from observability.promql import Scope, share, total
from observability.queries.gateway import JOB

REQUESTS = "key:gateway_requests:increase1m"
TOKENS = "key:gateway_tokens:increase1m"
COST = "key:gateway_cost_usd:increase1m"
DURATION_SUM = "key:gateway_request_duration_seconds_sum:increase1m"
DURATION_COUNT = "key:gateway_request_duration_seconds_count:increase1m"
TTFT_SUM = "key:gateway_time_to_first_token_seconds_sum:increase1m"
TTFT_COUNT = "key:gateway_time_to_first_token_seconds_count:increase1m"

_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'
_HOUR = 3600


def series(scope: Scope, name: str, *matchers: str) -> str:
    """Counters of the gateway by key."""
    return scope.series(f"gateway_key_{name}", JOB, *matchers, key="key", vm="vm")


def finished(scope: Scope, *by: str) -> str:
    """Finished requests in the window."""
    return _count(scope, REQUESTS, by=by)


def failed_share(scope: Scope, *by: str) -> str:
    """The share of requests in the window that failed on the server's side."""
    failed, judged = (_count(scope, REQUESTS, matcher, by=by) for matcher in (_FAILED, _JUDGED))
    # What never happened is not recorded: no failure is 0 of those judged.
    return share(f"({failed} or 0 * {judged})", judged)


def tokens(scope: Scope, kind: str, *by: str) -> str:
    """Tokens in the window; kind is input or output."""
    return _count(scope, TOKENS, f'type="{kind}"', by=by)


def spent(scope: Scope, *by: str) -> str:
    """Dollars of requests in the window."""
    return _count(scope, COST, by=by)


def mean_duration(scope: Scope, *by: str) -> str:
    """Seconds from the first byte in to the last byte out, as the mean over the window."""
    return share(_count(scope, DURATION_SUM, by=by), _count(scope, DURATION_COUNT, by=by))


def mean_first_token(scope: Scope, *by: str) -> str:
    """Seconds to the first token, as the mean over the window; streams only."""
    return share(_count(scope, TTFT_SUM, by=by), _count(scope, TTFT_COUNT, by=by))


def hourly_cost(scope: Scope) -> str:
    """Dollars per hour of each key's requests."""
    return f"{total(scope.rate(series(scope, 'cost_usd_total')), 'key')} * {_HOUR}"


def token_rate(scope: Scope) -> str:
    """Tokens per second of each key, input and output."""
    return total(scope.rate(series(scope, "tokens_total")), "key")


def failure_rate(scope: Scope) -> str:
    """Requests per second of each key that failed on the server's side."""
    return total(scope.rate(series(scope, "requests_total", _FAILED)), "key")


def latency(scope: Scope, summary: str) -> str:
    """The mean of one of the gateway's summaries by key around each point, in seconds."""
    whole, count = (total(scope.rate(series(scope, f"{summary}_{suffix}")), "key") for suffix in ("sum", "count"))
    return share(whole, count)


def _count(scope: Scope, name: str, *matchers: str, by: tuple[str, ...]) -> str:
    return downsampling.count(scope, name, *matchers, by=by, key="key", vm="vm")

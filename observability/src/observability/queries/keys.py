"""What each key used, how its requests went, and what they cost.

Over the selected range, what came in each step is added up, which Prometheus records (`recording.cost`): that is exact
to the step, where `increase` extrapolates.
"""

from observability import downsampling, settings
from observability.promql import Scope, share, share_of_each
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
_LABELS = {"key": "key", "vm": "vm"}
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
    return f"{_per_second(scope, COST)} * {_HOUR}"


def token_rate(scope: Scope) -> str:
    """Tokens per second of each key, input and output."""
    return _per_second(scope, TOKENS)


def failure_rate(scope: Scope) -> str:
    """Requests per second of each key that failed on the server's side."""
    # What did not happen is not recorded: without failures it is 0 of what there was.
    used = _count(scope, DURATION_COUNT, by=("key",))
    return _by_seconds(scope, f"({_count(scope, REQUESTS, _FAILED, by=('key',))} or 0 * {used})")


def _per_second(scope: Scope, name: str) -> str:
    return _by_seconds(scope, _count(scope, name, by=("key",)))


def _by_seconds(scope: Scope, counts: str) -> str:
    """Rates from counts of the window: by the seconds recorded of any key, since a new key has fewer."""
    return share_of_each(counts, downsampling.recorded_seconds(scope, DURATION_COUNT, vm="vm"))


def _count(scope: Scope, name: str, *matchers: str, by: tuple[str, ...]) -> str:
    return downsampling.count(scope, name, *matchers, by=by, **_LABELS)

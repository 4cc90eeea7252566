"""The gateway's requests by route, model and key: how many, how they end, how long they take."""

from observability import settings
from observability.promql import Scope, quantile, share, total
from observability.queries import gateway

_FAILED = f'outcome=~"{"|".join(settings.FAILED_OUTCOMES)}"'
_JUDGED = f'outcome=~"{"|".join(("ok", *settings.FAILED_OUTCOMES))}"'


def _series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", gateway.JOB, *matchers, model="model", vm="vm")


def _finished(scope: Scope, matcher: str, *by: str) -> str:
    matchers = (matcher,) if matcher else ()
    return total(scope.rate(gateway.requests(scope, *matchers)), *by)


def finished(scope: Scope, *by: str) -> str:
    """Requests finished per second."""
    return _finished(scope, "", *by)


def failed_share(scope: Scope, *by: str) -> str:
    """Failed through no fault of the client, of all that the service is judged by."""
    return share(_finished(scope, _FAILED, *by), _finished(scope, _JUDGED, *by))


def cancelled_share(scope: Scope, *by: str) -> str:
    """Requests whose client left, of all finished."""
    return share(_finished(scope, 'outcome="cancelled"', *by), finished(scope, *by))


def by_code(scope: Scope) -> str:
    """Answers per second by status code."""
    return finished(scope, "code")


def duration(scope: Scope, number: float, *by: str, stream: str = "") -> str:
    """Seconds from the first byte in to the last byte out; `stream` is true, false, or empty for both."""
    matchers = (f'stream="{stream}"',) if stream else ()
    return quantile(
        number, scope.rate(_series(scope, "request_duration_seconds_bucket", gateway.NO_HEALTH_CHECK, *matchers)), *by
    )


def time_per_output_token(scope: Scope, number: float, *by: str) -> str:
    """Seconds between output tokens, as each request's mean; streams only."""
    return quantile(number, scope.rate(_series(scope, "time_per_output_token_seconds_bucket")), *by)


def prompt_first_tokens(scope: Scope, bound: str) -> str:
    """Streams whose first token came within a bound, which must be one of the histogram's, as it is exposed."""
    within = total(scope.rate(_series(scope, "time_to_first_token_seconds_bucket", f'le="{bound}"')))
    return share(within, total(scope.rate(_series(scope, "time_to_first_token_seconds_count"))))


def wasted_share(scope: Scope) -> str:
    """What nobody read to the end, of all that was sent: events, against tokens and events."""
    wasted = total(scope.rate(_series(scope, "wasted_tokens_total")))
    sent = total(scope.rate(_series(scope, "tokens_total", 'type="output"')))
    return share(wasted, f"({sent} + {wasted})")

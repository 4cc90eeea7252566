"""What is counted of a request, and which requests."""

from collections.abc import Callable

from tests.support.truth import traffic
from tests.support.truth.traffic import Request

from observability.settings import FAILED_OUTCOMES

Filter = Callable[[Request], bool]
Amount = Callable[[Request], float | None]


def anything(_: Request) -> bool:
    return True


def failed(request: Request) -> bool:
    return request.outcome in FAILED_OUTCOMES


def judged(request: Request) -> bool:
    return request.outcome == "ok" or failed(request)


def accepted(request: Request) -> bool:
    return request.outcome not in ("client_error", "rate_limited")


def not_ok(request: Request) -> bool:
    return accepted(request) and request.outcome != "ok"


def cancelled(request: Request) -> bool:
    return request.outcome == "cancelled"


def has_key(request: Request) -> bool:
    return bool(request.key)


def attempted(request: Request) -> bool:
    return attempt(request) is not None


def attempt_failed(request: Request) -> bool:
    return attempt(request) not in (None, "ok", "cancelled", "rejected", "busy")


def cost(request: Request) -> float | None:
    return request.cost or None


def equivalents(request: Request) -> float | None:
    return request.equivalents or None


def all_tokens(request: Request) -> float | None:
    return request.tokens[0] + request.tokens[1] if request.tokens else None


def tokens(kind: str) -> Amount:
    index = ("input", "output", "cached_input", "reasoning").index(kind)
    return lambda request: request.tokens[index] if request.tokens else None


def ttft(request: Request) -> float | None:
    return None if cancelled(request) else request.ttft


def tpot(request: Request) -> float | None:
    if request.generating is None or request.tokens is None or request.tokens[1] <= 1:
        return None
    return request.generating / (request.tokens[1] - 1)


def duration(request: Request) -> float | None:
    return request.duration


def label(request: Request, by: str) -> str | None:
    """The value of a label; None for requests that are not counted by it."""
    if not by:
        return ""
    if by == "engine":
        return traffic.BY_MODEL[request.model].name if attempt(request) else None
    if by == "result":
        return attempt(request)
    if by == "code":
        return str(request.code)
    value: str = getattr(request, {"reason": "outcome"}.get(by, by))
    return value or None


def attempt(request: Request) -> str | None:
    """How the attempt at an engine ended; None where no engine was asked."""
    if request.model not in traffic.BY_MODEL or request.code in traffic.REFUSED:
        return None
    return traffic.ATTEMPTS.get(request.outcome, "unreachable")

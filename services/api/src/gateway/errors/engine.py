"""Failures of engines."""

from typing import ClassVar, Literal, get_args

from gateway.errors.base import GatewayError, Outcome

# The phases in which an engine can be too slow.
EnginePhase = Literal["connect", "ttft", "idle", "total"]
ENGINE_PHASES: tuple[EnginePhase, ...] = get_args(EnginePhase)
# How one attempt at an engine can end.
AttemptResult = Literal["ok", "rejected", "busy", "unreachable", "reset", "broken", "timeout", "cancelled", "error"]
ATTEMPT_RESULTS: tuple[AttemptResult, ...] = get_args(AttemptResult)
# How a probe can end: `rejected` where the engine does not offer the endpoint or refuses the request.
ProbeResult = Literal["ok", "rejected", "failed", "timeout"]
PROBE_RESULTS: tuple[ProbeResult, ...] = get_args(ProbeResult)


class NoEngineReady(GatewayError):
    """503: engines that serve the model exist, or may appear, but none can take a request now."""

    status = 503
    type = "service_unavailable"
    outcome = "engine_error"
    should_retry = True
    code = "no_engine_ready"


class EngineError(GatewayError):
    """An engine failed."""

    status = 502
    type = "engine_error"
    outcome: ClassVar[Outcome] = "engine_error"
    code: str | None = "engine_error"


class EngineUnreachable(EngineError):
    """Nothing accepts connections at the engine's address; another engine may always be tried."""

    should_retry = True
    code = "engine_unreachable"


class EngineReset(EngineError):
    """The engine broke the connection before its answer was complete; before the first byte another may be tried.

    Args:
        message: As in `GatewayError`.
        has_begun: Whether a part of the answer had arrived.
    """

    should_retry = True
    code = "engine_reset"

    def __init__(self, message: str, *, has_begun: bool) -> None:
        super().__init__(message)
        self.has_begun = has_begun


class EngineBadResponse(EngineError):
    """The engine answered with a 5xx, or with bytes that are not an answer, and would most likely do so again."""

    should_retry = False
    code = "engine_broken"


class EngineTimeout(EngineError):
    """The engine did not answer, or stopped answering, within the time of a phase."""

    status = 504
    type = "timeout_error"
    outcome = "timeout"
    should_retry = False
    code = "engine_timeout"

    def __init__(self, message: str, *, phase: EnginePhase) -> None:
        super().__init__(message)
        self.phase = phase


class EngineStalled(EngineTimeout):
    """The engine stopped making progress while the request waited for its first byte; another may always be tried."""

    code = "engine_stalled"


class EngineBusy(EngineError):
    """The engine works but accepts no more requests now; `retry_after` is its own advice, if it gave one."""

    should_retry = True


class EngineRateLimited(EngineBusy):
    """429 from an engine."""

    status = 429
    type = "rate_limit_error"
    outcome = "rate_limited"
    code = "rate_limit_exceeded"


class EngineOverloaded(EngineBusy):
    """503 from an engine."""

    status = 503
    type = "service_unavailable"
    code = "engine_overloaded"

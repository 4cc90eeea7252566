"""The exception tree: every way in which a request can end other than well.

GatewayError
├── ClientError                 the client can mend it (4xx)
│   ├── InvalidRequest          400, names the field in `param`
│   │   ├── ContextLengthExceeded
│   │   └── MalformedRequest    what came is no HTTP, or HTTP that could be read in two ways
│   ├── Unauthorized            401
│   ├── Forbidden               403
│   ├── NotFound                404
│   │   └── ModelNotFound
│   ├── MethodNotAllowed        405
│   ├── RequestTimeout          408, the body did not come
│   ├── BodyTooLarge            413
│   ├── UnsupportedCoding       415, a content coding that is not taken
│   ├── HeadersTooLarge         431
│   └── EngineRejected          what an engine found wrong with the request, with its own 4xx
├── ClientGone                  nobody is left to answer
├── TooManyConnections          503, the gateway's own limit; no engine was asked
├── NoEngineReady               503, with a reason and a time to come back
├── EngineError                 an engine failed
│   ├── EngineUnreachable       refused: nothing listens there
│   ├── EngineReset             the connection broke
│   ├── EngineBroken            a 5xx, or bytes that are no answer
│   ├── EngineTimeout           504, names the phase
│   │   └── EngineStalled       it has stopped making progress
│   └── EngineBusy              it works, but takes no more at the moment
│       ├── EngineRateLimited   429
│       └── EngineOverloaded    503
├── OutOfResources              503, the gateway itself has no descriptors or memory left
└── Interrupted                 503, the gateway is shutting down

Each class says how it is answered (`status`, `type`, `code`) and counted (`outcome`), so that no handler has to choose.
"""

from typing import ClassVar, Literal, get_args

Outcome = Literal[
    "ok",
    "client_error",
    "rate_limited",
    "queue_full",
    "cancelled",
    "timeout",
    "engine_error",
    "stream_error",
    "internal_error",
]

# The phases in which an engine can be too slow.
EnginePhase = Literal["connect", "ttft", "idle", "total"]
ENGINE_PHASES: tuple[EnginePhase, ...] = get_args(EnginePhase)

# What can come of one attempt at an engine.
AttemptResult = Literal["ok", "rejected", "busy", "unreachable", "reset", "broken", "timeout", "cancelled", "error"]
ATTEMPT_RESULTS: tuple[AttemptResult, ...] = get_args(AttemptResult)

# Why there is no good key; the codes of `Unauthorized`.
KeyRefusal = Literal["missing_api_key", "invalid_api_key", "revoked_api_key", "expired_api_key"]
KEY_REFUSALS: tuple[KeyRefusal, ...] = get_args(KeyRefusal)


class GatewayError(Exception):
    """A request's end that is answered with an error.

    Args:
        message: What a person reads: what is wrong and what to do.
        param: The field of the request at fault, where there is one.
        code: Overrides the class's machine-readable code.
        retry_after: Seconds after which trying again makes sense; becomes the `retry-after` header.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    outcome: ClassVar[Outcome] = "internal_error"
    # Becomes `x-should-retry`, which beats what an SDK would do by the status alone; None leaves it to the SDK.
    should_retry: ClassVar[bool | None] = None
    code: str | None = "internal_error"

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code

    @classmethod
    def unexpected(cls, request_id: str) -> "GatewayError":
        """The gateway's own fault, for whoever asked; what it was is in the log."""
        return cls(f"The gateway failed. Its log tells more of {request_id}.")

    @property
    def http_status(self) -> int:
        """The status that the client gets; only `EngineRejected` has its own per instance."""
        return self.status


class ClientError(GatewayError):
    """Something that the client can mend."""

    status = 400
    type = "invalid_request_error"
    outcome: ClassVar[Outcome] = "client_error"
    should_retry = False
    code: str | None = None


class InvalidRequest(ClientError):
    """400: the body is not what the endpoint takes."""


class ContextLengthExceeded(InvalidRequest):
    """400: prompt and answer do not fit the model's context."""

    code = "context_length_exceeded"


class MalformedRequest(InvalidRequest):
    """400: what came is no HTTP, or HTTP that two readers could read in two ways."""

    code = "malformed_http"


class Unauthorized(ClientError):
    """401: no key, a wrong one, or one that has been revoked or has expired."""

    status = 401
    code = "invalid_api_key"


class Forbidden(ClientError):
    """403: a good key that may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(ClientError):
    """404: no such path."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """404: no engine serves this model."""

    code = "model_not_found"


class MethodNotAllowed(ClientError):
    """405: the path exists, the method does not."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(ClientError):
    """408: the request's body stopped coming."""

    status = 408
    should_retry = True
    code = "request_timeout"


class BodyTooLarge(ClientError):
    """413: the body is larger than the gateway takes."""

    status = 413
    code = "request_too_large"


class UnsupportedCoding(ClientError):
    """415: the body's `Content-Encoding` is none that is taken here.

    Args:
        message: Names the coding.
        accepted: The codings that are taken, as `Accept-Encoding` lists them.
    """

    status = 415
    code = "unsupported_content_encoding"

    def __init__(self, message: str, *, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


class HeadersTooLarge(ClientError):
    """431: the request's head is larger, or has more headers, than the gateway takes."""

    status = 431
    code = "headers_too_large"


class EngineRejected(ClientError):
    """An engine's own 4xx about the request; passed on with the engine's status and words."""

    def __init__(self, message: str, *, status: int, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.engine_status = status

    @property
    def http_status(self) -> int:
        """The engine's own status, 400 to 499."""
        return self.engine_status


class ClientGone(GatewayError):
    """The client closed its connection; counted as 499 where no status had been sent."""

    status = 499
    outcome = "cancelled"
    code = "client_closed_request"


class TooManyConnections(GatewayError):
    """503: as many clients are connected as the gateway takes at once."""

    status = 503
    type = "service_unavailable"
    outcome = "queue_full"
    code = "too_many_connections"


class NoEngineReady(GatewayError):
    """503: engines that serve the model exist, or may come to, but none can take a request now."""

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
    """Nothing takes connections at the engine's address; another engine may always try."""

    should_retry = True
    code = "engine_unreachable"


class EngineReset(EngineError):
    """The engine broke the connection before its answer was complete; before the first byte another may always try.

    Args:
        message: As in `GatewayError`.
        has_begun: Whether a part of the answer had come.
    """

    should_retry = True
    code = "engine_reset"

    def __init__(self, message: str, *, has_begun: bool) -> None:
        super().__init__(message)
        self.has_begun = has_begun


class EngineBroken(EngineError):
    """The engine answered with a 5xx, or with bytes that are no answer, and would most likely do so again."""

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
    """The engine has stopped making progress while the request waited for its first byte; another may always try."""

    code = "engine_stalled"


class EngineBusy(EngineError):
    """The engine works but takes no more requests at the moment; `retry_after` is its own advice, where it gave one."""

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


class OutOfResources(GatewayError):
    """503: the gateway itself has no descriptors or memory left; no engine is to blame."""

    status = 503
    type = "service_unavailable"
    should_retry = True
    code = "gateway_overloaded"


class Interrupted(GatewayError):
    """503: the worker was told to stop and its grace ran out with the request unfinished."""

    status = 503
    type = "service_unavailable"
    should_retry = True
    code = "shutting_down"

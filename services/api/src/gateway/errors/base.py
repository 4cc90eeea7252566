"""The base of all errors: how each is answered and counted."""

from typing import ClassVar, Literal

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


class GatewayError(Exception):
    """A request fails.

    Args:
        message: For people: what is wrong and what to do.
        param: The request's field at fault, if there is one.
        code: Overrides the class's machine-readable code.
        retry_after: Seconds after which a retry makes sense; becomes the `retry-after` header.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    outcome: ClassVar[Outcome] = "internal_error"
    # Becomes `x-should-retry`, which overrides what an SDK would do by the status; None leaves it to the SDK.
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
        """An internal error, as the client sees it; the log has the cause."""
        return cls(f"Internal error. See the gateway's log for request {request_id}.")

    @property
    def http_status(self) -> int:
        """The status that the client gets; only `EngineRejected` has one per instance."""
        return self.status

"""What every error is: how it is answered and counted."""

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

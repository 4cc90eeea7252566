"""Errors that the client can fix (4xx)."""

from typing import ClassVar, Literal, get_args

from gateway.errors.base import GatewayError, Outcome

# Why there is no valid key; the codes of `Unauthorized`.
KeyRefusal = Literal["missing_api_key", "invalid_api_key", "revoked_api_key", "expired_api_key"]
KEY_REFUSALS: tuple[KeyRefusal, ...] = get_args(KeyRefusal)


class ClientError(GatewayError):
    """An error that the client can fix."""

    status = 400
    type = "invalid_request_error"
    outcome: ClassVar[Outcome] = "client_error"
    should_retry = False
    code: str | None = None


class InvalidRequest(ClientError):
    """400: the body is not valid for the endpoint."""


class ContextLengthExceeded(InvalidRequest):
    """400: prompt and answer do not fit the model's context."""

    code = "context_length_exceeded"


class MalformedRequest(InvalidRequest):
    """400: not HTTP, or HTTP that two parsers could read in two ways."""

    code = "malformed_http"


class Unauthorized(ClientError):
    """401: no key, an unknown one, or one that was revoked or has expired."""

    status = 401
    code = "invalid_api_key"


class Forbidden(ClientError):
    """403: a valid key without the permission."""

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
    """408: the request's body stopped arriving."""

    status = 408
    should_retry = True
    code = "request_timeout"


class BodyTooLarge(ClientError):
    """413: the body is larger than the gateway accepts."""

    status = 413
    code = "request_too_large"


class UnsupportedCoding(ClientError):
    """415: the body's `Content-Encoding` is not supported.

    Args:
        message: Names the coding.
        accepted: The supported codings, as `Accept-Encoding` lists them.
    """

    status = 415
    code = "unsupported_content_encoding"

    def __init__(self, message: str, *, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


class HeadersTooLarge(ClientError):
    """431: the request's head is larger, or has more headers, than the gateway accepts."""

    status = 431
    code = "headers_too_large"


class EngineRejected(ClientError):
    """An engine's own 4xx about the request; passed on with the engine's status and message."""

    def __init__(self, message: str, *, status: int, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.engine_status = status

    @property
    def http_status(self) -> int:
        """The engine's own status, 400 to 499."""
        return self.engine_status

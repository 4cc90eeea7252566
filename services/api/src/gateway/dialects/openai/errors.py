"""Errors: an engine's, translated in one place wherever it occurs, and ours, in OpenAI's shape.

An engine reports a failure by its status, inside a plain answer with status 200, in a stream's first event or in a
later one. What it means is the same everywhere: `translate_error`.
"""

import re
from typing import Any

import orjson

from gateway.errors import (
    ContextLengthExceeded,
    EngineBadResponse,
    EngineBusy,
    EngineOverloaded,
    EngineRateLimited,
    EngineRejected,
    GatewayError,
    InvalidRequest,
)

# How vLLM and llama.cpp report that a prompt is too long; they share no code for it.
_CONTEXT_MARKS = (
    "exceed_context_size",
    "maximum context length",
    "exceeds the available context size",
    "maximum model length",
    "max_model_len",
    "too large to process",
)
# What the request is to blame for although the engine answers 500: each observed with llama.cpp's server in xllamacpp
# 2026.10 (tests/integration/test_engine_input.py checks it). Anything else stays the engine's own failure.
_REQUEST_FAULTS = re.compile(
    r"(image|audio|video) input is not supported"
    r"|^Failed to parse (messages|tools)\b"
    r"|\[json\.exception\.(type_error|out_of_range|parse_error)\."
    r"|Cannot use both json_schema and grammar"
)
_UNAUTHORIZED = frozenset({401, 403})
_NOT_OFFERED = frozenset({404, 405, 501})
_BUSY: dict[int, type[EngineBusy]] = {429: EngineRateLimited, 503: EngineOverloaded}
_REQUEST_TIMEOUT = 408
# The status for a type of error that comes without one; 500 for all other types.
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "BadRequestError": 400,
    "not_found_error": 404,
    "NotFoundError": 404,
    "rate_limit_error": 429,
    "overloaded_error": 503,
    "unavailable_error": 503,
}
_MAX_ECHO = 200


def holds_error(content: dict[str, Any]) -> bool:
    """Whether an answer or an event is an error, by the value of `error`, not by its presence; or vLLM's flat form."""
    return content.get("error") not in (None, False, "") or content.get("object") == "error"


def translate_error(status: int | None, content: Any, *, retry_after: int | None = None) -> GatewayError:
    """An engine's error as one of ours: about the request, about how busy it is, or about the engine itself.

    The engine's message is kept. A prompt that does not fit becomes `ContextLengthExceeded` however the engine reports
    it. A refused key is the gateway's, not the client's.

    Args:
        status: The HTTP status; None where the error came inside an answer that began as a success.
        content: The body: parsed if it is JSON, otherwise its text.
        retry_after: Seconds, from the engine's header.
    """
    message, param, word, kind, code = _read_error(content)
    if status is None:
        status = code or _STATUS_OF_TYPE.get(kind, 500)
    if status in _UNAUTHORIZED:
        return EngineBadResponse("The engine refuses the gateway's key: their ENGINE_KEY_FILE differ.")
    if any(mark in text for mark in _CONTEXT_MARKS for text in (message, word or "")):
        return ContextLengthExceeded(message, param=param)
    if status in _BUSY:
        return _BUSY[status](f"The engine accepts no more requests: {message}", retry_after=retry_after)
    return _rejection(status, message, param, word) or EngineBadResponse(f"The engine answered {status}: {message}")


def _rejection(status: int, message: str, param: str | None, word: str | None) -> GatewayError | None:
    """An error that the request itself caused; None if the engine is to blame."""
    if status in _NOT_OFFERED and param != "model":
        return InvalidRequest(
            f"The engine that serves this model does not offer this endpoint ({message}).", code="unsupported_endpoint"
        )
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:  # noqa: PLR2004 - HTTP's own classes
        return EngineRejected(message, status=status, param=param, code=word)
    if _REQUEST_FAULTS.search(message):
        return EngineRejected(message, status=400, param=param)
    return None


def engine_error(status: int, body: bytes, *, retry_after: int | None) -> GatewayError:
    """The error in an answer whose status is one; see `translate_error`."""
    return translate_error(status, _read_body(body), retry_after=retry_after)


def error_in(body: bytes) -> GatewayError | None:
    """The error in an answer whose status is success; None where it holds none."""
    content = _read_body(body)
    return translate_error(None, content) if isinstance(content, dict) and holds_error(content) else None


def _read_body(body: bytes) -> Any:
    """An error's body for `translate_error`: parsed if it is JSON, otherwise the beginning of its text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:_MAX_ECHO].decode("utf-8", "replace").strip()


def _read_error(content: Any) -> tuple[str, str | None, str | None, str, int | None]:
    """Message, param, code as a word, type and status of an engine's error, whatever its shape."""
    error = (content.get("error") or content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return str(error or "no reason given")[:_MAX_ECHO], None, None, "", None
    message = error.get("message") or error.get("detail") or "no reason given"
    param, kind, code = error.get("param"), error.get("type"), error.get("code")
    # Engines put the HTTP status into `code`; OpenAI's codes are words. llama.cpp's words are in `type`.
    word = code if isinstance(code, str) else kind if isinstance(kind, str) and kind.endswith("_error") else None
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isascii() and code.isdigit()) else 0
    return (
        message if isinstance(message, str) else orjson.dumps(message).decode(),
        param if isinstance(param, str) else None,
        word,
        kind if isinstance(kind, str) else "",
        number if 400 <= number < 600 else None,  # noqa: PLR2004 - HTTP's own classes
    )


def error_body(error: GatewayError) -> bytes:
    """An error in OpenAI's shape, as JSON."""
    return orjson.dumps(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


def error_event(error: GatewayError) -> bytes:
    """An error in a stream that has already begun: its last event, without [DONE]."""
    return b"data: %b\n\n" % error_body(error)

"""Answers: what they cost, and errors in OpenAI's shape whoever they come from."""

from typing import Any

import orjson

from gateway.errors import ContextLengthExceeded, EngineBroken, EngineRejected, GatewayError, InvalidRequest
from gateway.usage import Usage

# How vLLM and llama.cpp say that a prompt is too long; neither has a code for it that both share.
_CONTEXT_MARKS = (
    "exceed_context_size",
    "maximum context length",
    "exceeds the available context size",
    "maximum model length",
    "max_model_len",
    "too large to process",
)
_NOT_OFFERED = frozenset({404, 405, 501})
_SHOWN = 200


def parse_usage(usage: Any) -> Usage | None:
    """Tokens from a `usage` object; None when there is none that can be read."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(
        input=_count(prompt),
        output=_count(completion),
        cached=_count(_inside(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning=_count(_inside(usage, "completion_tokens_details", "reasoning_tokens")),
    )


def _inside(usage: dict[str, Any], outer: str, inner: str) -> Any:
    details = usage.get(outer)
    return details.get(inner) if isinstance(details, dict) else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def parse_answer(body: bytes) -> Usage | None:
    """The usage of a whole, plain answer.

    Raises:
        EngineBroken: The body is no JSON object.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EngineBroken("The engine's answer is not JSON.") from error
    if not isinstance(answer, dict):
        raise EngineBroken("The engine's answer is not a JSON object.")
    return parse_usage(answer.get("usage"))


def engine_error(status: int, body: bytes) -> GatewayError:
    """An engine's error answer as one of ours: a 4xx is about the request, anything else about the engine.

    The engines' words are kept. A prompt that does not fit becomes `ContextLengthExceeded` whichever engine says it and
    however (llama.cpp says 500 for an embedding's input). A refused key is ours, not the client's.
    """
    message, param, code = _read_error(body)
    if status in {401, 403}:
        return EngineBroken("The engine refuses the gateway's key: ENGINE_KEY_FILE differs between the two.")
    if any(mark in text for mark in _CONTEXT_MARKS for text in (message, code or "")):
        return ContextLengthExceeded(message, param=param)
    if status in _NOT_OFFERED and param != "model":
        return InvalidRequest(
            f"The engine that serves this model does not offer this endpoint ({message}).", code="unsupported_endpoint"
        )
    if 400 <= status < 500:  # noqa: PLR2004 - HTTP's own classes
        return EngineRejected(message, status=status, param=param, code=code)
    return EngineBroken(f"The engine answered {status}: {message}")


def _read_error(body: bytes) -> tuple[str, str | None, str | None]:
    """Message, param and code of an engine's error body, whatever its shape."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:_SHOWN].decode("utf-8", "replace").strip() or "no reason given", None, None
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return str(error)[:_SHOWN], None, None
    message = error.get("message") or error.get("detail") or "no reason given"
    param, kind, code = error.get("param"), error.get("type"), error.get("code")
    # Engines put the HTTP status into `code`; OpenAI's codes are words. llama.cpp's words are in `type`.
    word = code if isinstance(code, str) else kind if isinstance(kind, str) and kind.endswith("_error") else None
    return str(message), param if isinstance(param, str) else None, word


def error_body(error: GatewayError) -> bytes:
    """An error in OpenAI's shape, as JSON."""
    return orjson.dumps(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


def error_event(error: GatewayError) -> bytes:
    """An error inside a stream that has already begun: the last event, with no [DONE] behind it."""
    return b"data: %b\n\n" % error_body(error)

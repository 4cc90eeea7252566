"""Plain answers: what they took, and whether they are answers at all."""

from typing import Any

import orjson

from gateway.dialects.openai.errors import holds_error, translate_error
from gateway.errors import EngineBadResponse
from gateway.usage import Usage


def parse_usage(usage: Any) -> Usage | None:
    """Tokens from a `usage` object; None when there is none that can be read."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(
        input=_count(prompt),
        output=_count(completion),
        cached=_count(_nested(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning=_count(_nested(usage, "completion_tokens_details", "reasoning_tokens")),
    )


def _nested(usage: dict[str, Any], outer: str, inner: str) -> Any:
    details = usage.get(outer)
    return details.get(inner) if isinstance(details, dict) else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def parse_answer(body: bytes) -> tuple[bytes, Usage | None]:
    """A whole plain answer: its body, which goes to the client as it came, and its usage.

    Raises:
        EngineBadResponse: The body is not a JSON object.
        GatewayError: It is an error, in spite of its status.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EngineBadResponse("The engine's answer is not JSON.") from error
    if not isinstance(answer, dict):
        raise EngineBadResponse("The engine's answer is not a JSON object.")
    if holds_error(answer):
        raise translate_error(None, answer)
    return body, parse_usage(answer.get("usage"))

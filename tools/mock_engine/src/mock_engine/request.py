"""A generation request to the mock engine, parsed once from its path and body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from mock_engine.behaviour import CHAT, TEXT, Behaviour, count, seconds, text
from mock_engine.fault import Fault, parse_fault

BAD_REQUEST, NOT_FOUND = 400, 404


class RejectedError(Exception):
    """A request that the engine refuses with an error of its own, as vLLM would.

    Args:
        status: of the response.
        message: for the reader.
        kind: vLLM's type of the error.
        param: the invalid field.
    """

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Everything that the response to one request depends on.

    Args:
        path: of the endpoint, which decides the shape of the response.
        model: as the request names it.
        stream: respond with server-sent events.
        include_usage: end the stream with a usage chunk.
        tokens: how many to generate.
        finish_reason: `length` when `max_tokens` cut the response short, else `stop`.
        prompt_tokens: one per word, since the mock has no tokenizer, unless the request says otherwise.
        cached_tokens: how many of them to report as found in the prefix cache.
        reasoning_tokens: how many of the generated ones to report as reasoning.
        ttft_s: seconds before the first token.
        interval_s: seconds between tokens.
        fault: how to fail, if at all.
        barrier: where to wait until it is released; "" for nowhere.
        barrier_after: how many events of a stream to send before it waits; a plain response waits before it is written.
        probe: the request is for one token.
        inputs: texts to embed.
        base64: return embeddings as base64 of little-endian 32-bit floats.
    """

    path: str
    model: str
    stream: bool
    include_usage: bool
    tokens: int
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    ttft_s: float
    interval_s: float
    fault: Fault | None
    probe: bool
    inputs: int = 0
    base64: bool = False
    reasoning_tokens: int = 0
    barrier: str = ""
    barrier_after: int = 0


def parse_request(path: str, body: bytes, behaviour: Behaviour) -> GenerationRequest:
    """Parse a generation request.

    Raises:
        RejectedError: not JSON, an unknown model, or an invalid `mock` field.
    """
    try:
        fields: Any = orjson.loads(body)
        if not isinstance(fields, dict):
            raise RejectedError(BAD_REQUEST, "the body must be a JSON object")
        return _build(path, fields, behaviour)
    except (ValueError, TypeError, AttributeError) as error:  # not JSON, or JSON of another shape
        raise RejectedError(BAD_REQUEST, f"mock engine: {error}") from error


def _build(path: str, fields: dict[str, Any], behaviour: Behaviour) -> GenerationRequest:
    names = behaviour.names()
    model = fields.get("model") or names[0]
    if model not in names:
        raise RejectedError(NOT_FOUND, f"The model `{model}` does not exist.", "NotFoundError", "model")
    overrides: dict[str, Any] = fields.get("mock") or {}
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
    probe = limit == 1
    tokens = count("mock.tokens", overrides.get("tokens", behaviour.tokens))
    limited = tokens if limit is None else min(tokens, count("max_tokens", limit))
    inputs = fields.get("input")
    default = behaviour.probe_fault if probe else behaviour.fault
    return GenerationRequest(
        path=path,
        model=model,
        stream=fields.get("stream") is True and path in {CHAT, TEXT},
        include_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
        tokens=limited,
        finish_reason="length" if limited < tokens else "stop",
        prompt_tokens=count("mock.prompt_tokens", overrides.get("prompt_tokens", _count_prompt(path, fields))),
        cached_tokens=count("mock.cached_tokens", overrides.get("cached_tokens", 0)),
        ttft_s=seconds("mock.ttft_s", overrides.get("ttft_s", behaviour.ttft_s)),
        interval_s=seconds("mock.interval_s", overrides.get("interval_s", behaviour.interval_s)),
        fault=parse_fault(overrides["fault"]) if "fault" in overrides else default,
        probe=probe,
        inputs=len(inputs) if isinstance(inputs, list) else 1,
        base64=fields.get("encoding_format") == "base64",
        reasoning_tokens=count("mock.reasoning_tokens", overrides.get("reasoning_tokens", 0)),
        barrier=text("mock.barrier", overrides.get("barrier", "")),
        barrier_after=count("mock.barrier_after", overrides.get("barrier_after", 0)),
    )


def _count_prompt(path: str, fields: dict[str, Any]) -> int:
    """Count the words of a prompt of any dialect; an image part counts as none, a token id as one."""
    if path == CHAT:
        return sum(_count(message.get("content")) for message in fields.get("messages") or [])
    return _count(fields.get("prompt") if path == TEXT else fields.get("input"))


def _count(content: object) -> int:
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, dict):
        return _count(content.get("text"))
    if isinstance(content, list):
        return sum(_count(part) for part in content)
    return int(isinstance(content, int))

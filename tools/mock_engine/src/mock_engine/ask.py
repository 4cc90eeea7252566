"""What one generation request asks of the mock engine, read from its path and body once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from mock_engine.behaviour import CHAT, TEXT, Behaviour, count, seconds, word
from mock_engine.fault import Fault, parse_fault

BAD_REQUEST, NOT_FOUND = 400, 404


class RefusedError(Exception):
    """A request that the engine answers with an error by itself, as vLLM would.

    Args:
        status: of the answer.
        message: for the person who reads it.
        kind: vLLM's word for the error.
        param: the field at fault.
    """

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, decided: everything that the answer depends on.

    Args:
        path: which dialect to answer in.
        model: as the request names it.
        stream: answer with server-sent events.
        include_usage: end the stream with a usage chunk.
        tokens: how many to generate.
        finish_reason: `length` when `max_tokens` cut the answer short, else `stop`.
        prompt_tokens: one per word, since the mock has no tokenizer, unless the request says otherwise.
        cached_tokens: how many of them to report as found in the prefix cache.
        reasoning_tokens: how many of the generated ones to report as reasoning.
        ttft_s: seconds before the first token.
        interval_s: seconds between tokens.
        fault: how to fail, if at all.
        gate: where to stand still until it is opened; "" for nowhere.
        hold: after how many events of a stream; a plain answer stands still before it is written.
        probe: asked for one token.
        inputs: texts to embed.
        base64: embeddings are wanted as base64 of little-endian 32-bit floats.
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
    gate: str = ""
    hold: int = 0


def read_ask(path: str, body: bytes, behaviour: Behaviour) -> Ask:
    """Read a generation request.

    Raises:
        RefusedError: not JSON, an unknown model, or a `mock` field that makes no sense.
    """
    try:
        fields: Any = orjson.loads(body)
        if not isinstance(fields, dict):
            raise RefusedError(BAD_REQUEST, "the body must be a JSON object")
        return _decide(path, fields, behaviour)
    except ValueError as error:  # orjson's own error is one too
        raise RefusedError(BAD_REQUEST, f"mock engine: {error}") from error


def _decide(path: str, fields: dict[str, Any], behaviour: Behaviour) -> Ask:
    names = behaviour.names()
    model = fields.get("model") or names[0]
    if model not in names:
        raise RefusedError(NOT_FOUND, f"The model `{model}` does not exist.", "NotFoundError", "model")
    wanted: dict[str, Any] = fields.get("mock") or {}
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
    probe = limit == 1
    tokens = count("mock.tokens", wanted.get("tokens", behaviour.tokens))
    limited = tokens if limit is None else min(tokens, count("max_tokens", limit))
    inputs = fields.get("input")
    default = behaviour.probe_fault if probe else behaviour.fault
    return Ask(
        path=path,
        model=model,
        stream=fields.get("stream") is True and path in {CHAT, TEXT},
        include_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
        tokens=limited,
        finish_reason="length" if limited < tokens else "stop",
        prompt_tokens=count("mock.prompt_tokens", wanted.get("prompt_tokens", _words(path, fields))),
        cached_tokens=count("mock.cached_tokens", wanted.get("cached_tokens", 0)),
        ttft_s=seconds("mock.ttft_s", wanted.get("ttft_s", behaviour.ttft_s)),
        interval_s=seconds("mock.interval_s", wanted.get("interval_s", behaviour.interval_s)),
        fault=parse_fault(wanted["fault"]) if "fault" in wanted else default,
        probe=probe,
        inputs=len(inputs) if isinstance(inputs, list) else 1,
        base64=fields.get("encoding_format") == "base64",
        reasoning_tokens=count("mock.reasoning_tokens", wanted.get("reasoning_tokens", 0)),
        gate=word("mock.gate", wanted.get("gate", "")),
        hold=count("mock.hold", wanted.get("hold", 0)),
    )


def _words(path: str, fields: dict[str, Any]) -> int:
    """Count the words of a prompt of any dialect; image parts and token ids count as nothing and one."""
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

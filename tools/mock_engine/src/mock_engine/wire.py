"""The bytes that the mock engine writes, in the shapes of vLLM 0.32; pure functions.

What a stream repeats is formatted once a request: every token has the same width, so that the size in front of each
HTTP chunk never changes and an event costs one joining of three byte strings.
"""

from __future__ import annotations

import base64
import struct
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from mock_engine.behaviour import CHAT, EMBEDDINGS

if TYPE_CHECKING:
    from mock_engine.ask import Ask

SERVER = b"glasshouse-mock-engine"
TOKENS = tuple(b" w%03d" % number for number in range(1000))  # token n reads " w00n": a lost or doubled one shows
VECTOR = tuple(number / 8 for number in range(8))  # eighths are exact in 32 bits
SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
DONE = b"data: [DONE]\n\n"
PHRASES = {int(status): status.phrase.encode() for status in HTTPStatus}
LAST_CHUNK = b"0\r\n\r\n"
GARBAGE = b"\x00\xff\xfe\x80neither SSE nor JSON\xc3\x28{{{\r\n\x9f\x92\n\n"
HTML = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>This is a mock engine.</body></html>\n"


def head(status: int, content_type: bytes, length: int | None) -> bytes:
    """Return the head of an answer; without a length the body comes in chunks."""
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    phrase = PHRASES.get(status, b"Mock")
    return b"HTTP/1.1 %d %b\r\nserver: %b\r\ncontent-type: %b\r\n%b\r\n\r\n" % (
        status,
        phrase,
        SERVER,
        content_type,
        framing,
    )


def answer(status: int, body: bytes, content_type: bytes = JSON) -> bytes:
    """Return a whole plain answer."""
    return head(status, content_type, len(body)) + body


def error_body(status: int, message: str, kind: str, param: str | None = None) -> bytes:
    """Return vLLM's error, whose `code` is the HTTP status as a number."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": status}})


def context_length_body(max_model_len: int) -> bytes:
    """Return what vLLM says of a prompt that does not fit."""
    message = (
        f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains "
        f"{max_model_len + 1} input tokens, which exceeds this limit even without any output tokens. "
        "Please reduce the length of the input prompt."
    )
    return error_body(HTTPStatus.BAD_REQUEST, message, "BadRequestError", "input_tokens")


def chunk(event: bytes) -> bytes:
    """Wrap bytes as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def text(tokens: int) -> str:
    """Return the text that so many tokens make."""
    return b"".join(TOKENS[number % len(TOKENS)] for number in range(tokens)).decode()


def usage(ask: Ask) -> dict[str, Any]:
    """Return the usage of a complete answer."""
    completion = 0 if ask.path == EMBEDDINGS else ask.tokens
    counts: dict[str, Any] = {
        "prompt_tokens": ask.prompt_tokens,
        "total_tokens": ask.prompt_tokens + completion,
        "completion_tokens": completion,
    }
    if ask.cached_tokens:  # vLLM leaves the details out unless it was told to give them
        counts["prompt_tokens_details"] = {"cached_tokens": ask.cached_tokens}
    if ask.reasoning_tokens:
        counts["completion_tokens_details"] = {"reasoning_tokens": ask.reasoning_tokens}
    return counts


def plain_body(ask: Ask, number: int) -> bytes:
    """Return the body of a plain answer to the engine's request of that number."""
    if ask.path == EMBEDDINGS:
        packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
        vector: Any = packed if ask.base64 else VECTOR
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(ask.inputs)]
        return orjson.dumps(
            {"id": f"embd-mock-{number}", "object": "list", "model": ask.model, "data": data, "usage": usage(ask)}
        )
    chat = ask.path == CHAT
    said = text(ask.tokens)
    content: dict[str, Any] = {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
    choice = {"index": 0, **content, "logprobs": None, "finish_reason": ask.finish_reason}
    return orjson.dumps(
        {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-mock-{number}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": ask.model,
            "choices": [choice],
            "usage": usage(ask),
        }
    )


@dataclass(frozen=True, slots=True)
class Events:
    """The parts of one stream, each but the two sides of a token a whole HTTP chunk.

    Args:
        role: the opening event; empty outside chat.
        before: what stands before a token, the size of the chunk included.
        after: what stands after a token.
        after_last: what stands after the last token, with the reason to finish.
        before_last: as `before`, with the size of the last token's chunk.
        usage: the chunk with the usage; empty unless it was asked for.
    """

    role: bytes
    before: bytes
    after: bytes
    before_last: bytes
    after_last: bytes
    usage: bytes


def events(ask: Ask, number: int) -> Events:
    """Format what a stream needs."""
    chat = ask.path == CHAT
    kind, prefix = ("chat.completion.chunk", "chatcmpl") if chat else ("text_completion", "cmpl")
    opening = b'data: {"id":"%b-mock-%d","object":"%b","created":%d,"model":%b,"choices":[' % (
        prefix.encode(),
        number,
        kind.encode(),
        int(time.time()),
        orjson.dumps(ask.model),
    )
    choice = opening + (b'{"index":0,"delta":{"content":"' if chat else b'{"index":0,"text":"')
    said = b'"},"logprobs":null,"finish_reason":' if chat else b'","logprobs":null,"finish_reason":'
    after = said + b"null}]}\n\n"
    after_last = said + b'"%b"}]}\n\n' % ask.finish_reason.encode()
    width = len(choice) + len(TOKENS[0])
    role = opening + b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
    return Events(
        role=chunk(role) if chat else b"",
        before=b"%x\r\n%b" % (width + len(after), choice),
        after=after + b"\r\n",
        before_last=b"%x\r\n%b" % (width + len(after_last), choice),
        after_last=after_last + b"\r\n",
        usage=chunk(opening + b'],"usage":%b}\n\n' % orjson.dumps(usage(ask))) if ask.include_usage else b"",
    )


def stream_body(ask: Ask, number: int) -> tuple[bytes, int]:
    """Return a whole stream without HTTP chunks, and its number of events, for an answer that comes in odd pieces."""
    parts = events(ask, number)
    chunks = [parts.role] if parts.role else []
    for index in range(ask.tokens):
        last = index + 1 == ask.tokens
        before, after = (parts.before_last, parts.after_last) if last else (parts.before, parts.after)
        chunks.append(before + TOKENS[index % len(TOKENS)] + after)
    if parts.usage:
        chunks.append(parts.usage)
    bare = [framed.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for framed in chunks]
    return b"".join(bare) + DONE, len(bare) + 1


def error_kind(status: int) -> str:
    """Return vLLM's word for an error, which is the phrase of its status without spaces."""
    if status == HTTPStatus.BAD_REQUEST:
        return "BadRequestError"
    phrase = PHRASES.get(status, b"Mock Error").decode().replace(" ", "")
    return phrase if phrase.endswith("Error") else phrase + "Error"

"""The mock engine's responses as bytes, in the shapes of vLLM 0.32; pure functions.

What a stream repeats is formatted once per request: every token has the same width, so that the size in front of each
HTTP chunk never changes and an event costs one concatenation of three byte strings.
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
    from mock_engine.fault import Fault
    from mock_engine.request import GenerationRequest

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
    """Return the head of a response; without a length the body is chunked."""
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    phrase = PHRASES.get(status, b"Mock")
    return b"HTTP/1.1 %d %b\r\nserver: %b\r\ncontent-type: %b\r\n%b\r\n\r\n" % (
        status,
        phrase,
        SERVER,
        content_type,
        framing,
    )


def plain(status: int, body: bytes, content_type: bytes = JSON) -> bytes:
    """Return a complete response with a length."""
    return head(status, content_type, len(body)) + body


def error_body(status: int, message: str, kind: str, param: str | None = None) -> bytes:
    """Return vLLM's error, whose `code` is the HTTP status as a number."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": status}})


def context_length_body(max_model_len: int) -> bytes:
    """Return vLLM's error for a prompt that exceeds the context."""
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
    """Return the text of this many tokens."""
    return b"".join(TOKENS[number % len(TOKENS)] for number in range(tokens)).decode()


def usage(request: GenerationRequest) -> dict[str, Any]:
    """Return the usage of a complete response."""
    completion = 0 if request.path == EMBEDDINGS else request.tokens
    counts: dict[str, Any] = {
        "prompt_tokens": request.prompt_tokens,
        "total_tokens": request.prompt_tokens + completion,
        "completion_tokens": completion,
    }
    if request.cached_tokens:  # vLLM omits the details unless it was started with an option for them
        counts["prompt_tokens_details"] = {"cached_tokens": request.cached_tokens}
    if request.reasoning_tokens:
        counts["completion_tokens_details"] = {"reasoning_tokens": request.reasoning_tokens}
    return counts


def plain_body(request: GenerationRequest, number: int) -> bytes:
    """Return the body of the plain response to the engine's request of that number."""
    if request.path == EMBEDDINGS:
        packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
        vector: Any = packed if request.base64 else VECTOR
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(request.inputs)]
        return orjson.dumps(
            {
                "id": f"embd-mock-{number}",
                "object": "list",
                "model": request.model,
                "data": data,
                "usage": usage(request),
            }
        )
    chat = request.path == CHAT
    generated = text(request.tokens)
    content: dict[str, Any] = {"message": {"role": "assistant", "content": generated}} if chat else {"text": generated}
    choice = {"index": 0, **content, "logprobs": None, "finish_reason": request.finish_reason}
    return orjson.dumps(
        {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-mock-{number}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [choice],
            "usage": usage(request),
        }
    )


@dataclass(frozen=True, slots=True)
class Events:
    """The pieces of one stream; `role` and `usage` are whole HTTP chunks, the others enclose a token.

    Args:
        role: the opening event; empty outside chat.
        before: what precedes a token, the size of the chunk included.
        after: what follows a token.
        before_last: as `before`, with the size of the last token's chunk.
        after_last: what follows the last token, with the finish reason.
        usage: the chunk with the usage; empty unless it was requested.
    """

    role: bytes
    before: bytes
    after: bytes
    before_last: bytes
    after_last: bytes
    usage: bytes


def events(request: GenerationRequest, number: int) -> Events:
    """Format the pieces of a stream."""
    chat = request.path == CHAT
    kind, prefix = ("chat.completion.chunk", "chatcmpl") if chat else ("text_completion", "cmpl")
    opening = b'data: {"id":"%b-mock-%d","object":"%b","created":%d,"model":%b,"choices":[' % (
        prefix.encode(),
        number,
        kind.encode(),
        int(time.time()),
        orjson.dumps(request.model),
    )
    choice = opening + (b'{"index":0,"delta":{"content":"' if chat else b'{"index":0,"text":"')
    end_of_text = b'"},"logprobs":null,"finish_reason":' if chat else b'","logprobs":null,"finish_reason":'
    after = end_of_text + b"null}]}\n\n"
    after_last = end_of_text + b'"%b"}]}\n\n' % request.finish_reason.encode()
    width = len(choice) + len(TOKENS[0])
    role = opening + b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
    return Events(
        role=chunk(role) if chat else b"",
        before=b"%x\r\n%b" % (width + len(after), choice),
        after=after + b"\r\n",
        before_last=b"%x\r\n%b" % (width + len(after_last), choice),
        after_last=after_last + b"\r\n",
        usage=chunk(opening + b'],"usage":%b}\n\n' % orjson.dumps(usage(request))) if request.include_usage else b"",
    )


def stream_body(request: GenerationRequest, number: int) -> tuple[bytes, int]:
    """Return a whole stream without HTTP chunks, and its number of events, for a body that is sent in odd pieces."""
    pieces = events(request, number)
    chunks = [pieces.role] if pieces.role else []
    for index in range(request.tokens):
        last = index + 1 == request.tokens
        before, after = (pieces.before_last, pieces.after_last) if last else (pieces.before, pieces.after)
        chunks.append(before + TOKENS[index % len(TOKENS)] + after)
    if pieces.usage:
        chunks.append(pieces.usage)
    bare = [framed.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for framed in chunks]
    return b"".join(bare) + DONE, len(bare) + 1


def error_kind(status: int) -> str:
    """Return vLLM's type of an error: the phrase of its status without spaces."""
    if status == HTTPStatus.BAD_REQUEST:
        return "BadRequestError"
    phrase = PHRASES.get(status, b"Mock Error").decode().replace(" ", "")
    return phrase if phrase.endswith("Error") else phrase + "Error"


def faulty(fault: Fault, max_model_len: int) -> bytes:
    """Return a complete HTTP response that is not the requested one."""
    if fault.kind == "html":
        return plain(200, HTML, b"text/html; charset=utf-8")
    if fault.kind == "garbage":
        return plain(200, GARBAGE, SSE)
    if fault.kind in {"context_length", "context_event"}:
        return plain(HTTPStatus.BAD_REQUEST, context_length_body(max_model_len))
    status = fault.number if fault.kind == "status" else HTTPStatus.INTERNAL_SERVER_ERROR
    return plain(status, error_body(status, "mock engine failure", error_kind(status)))

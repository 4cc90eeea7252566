"""Aggregates a stream into the plain answer that the client asked for.

llama.cpp never notices that the client of a plain request has gone and generates to the end (its issue 24496; observed
here on a real one), but it does notice for a stream. So a plain request reaches it as a stream, and the answer is put
together again here.
"""

from typing import Any

import orjson

from gateway.dialects.openai.request import with_fields
from gateway.dialects.openai.stream import EventStream
from gateway.errors import EngineBadResponse
from gateway.usage import Usage


def plain_as_stream(body: bytes) -> bytes:
    """A plain request's body as that of a stream with usage. The body has been parsed before and is a JSON object.

    Raises:
        InvalidRequest: As `with_fields`.
    """
    return with_fields(body, stream=True, stream_options={"include_usage": True})


class ChunkAggregator:
    """Aggregates the chunks of a stream into a plain answer (`stream.ChunkSink`)."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Adds a chunk.

        Raises:
            EngineBadResponse: It has an unexpected shape.
        """
        try:
            self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EngineBadResponse("The engine sent an event of an unexpected shape.") from error

    def answer(self, usage: Usage | None = None) -> bytes:
        """The plain answer, as JSON; `usage` is the count of all choices, of which each event knows only one."""
        kind = str(self._answer.get("object", "")).removesuffix(".chunk")
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            message = choice.get("message")
            if message is not None:
                message.setdefault("content", None if message.get("tool_calls") else "")
        if usage is not None:
            counts = {"prompt_tokens": usage.input, "completion_tokens": usage.output}
            counts["total_tokens"] = usage.input + usage.output
            self._answer["usage"] = {**(self._answer.get("usage") or {}), **counts}
        return orjson.dumps({**self._answer, "object": kind, "choices": choices})

    def _add(self, chunk: dict[str, Any]) -> None:
        for part in chunk.get("choices") or ():
            index = part.get("index", 0)
            choice = self._choices.setdefault(index, {"index": index, "finish_reason": None})
            if part.get("delta") is not None:
                _merge(choice.setdefault("message", {"role": "assistant"}), part["delta"])
            if part.get("text") is not None:
                choice["text"] = choice.get("text", "") + part["text"]
            if part.get("logprobs") is not None:
                _merge(choice.setdefault("logprobs", {}), part["logprobs"])
            if part.get("finish_reason") is not None:
                choice["finish_reason"] = part["finish_reason"]
        self._answer.update(chunk)
        self._answer.pop("error", None)  # null beside choices: not an error, and not a field of a plain answer


class AggregatingStream(EventStream):
    """A stream of which a plain answer is made.

    Args:
        n: Choices per prompt that were asked for.
    """

    __slots__ = ("_chunks",)

    def __init__(self, *, n: int = 1) -> None:
        self._chunks = ChunkAggregator()
        super().__init__(keep_usage=False, n=n, sink=self._chunks)

    def answer(self) -> bytes:
        """The plain answer, as JSON."""
        return self._chunks.answer(self.usage)


def _merge(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Merges an event into what came before: text is appended, lists grow, tool calls are matched by index."""
    for name, value in part.items():
        known = whole.get(name)
        if value is None:
            continue
        if name == "tool_calls":
            calls = whole.setdefault("tool_calls", [])
            for call in value:
                _merge_call(calls, call)
        elif name == "role":
            whole[name] = value
        elif isinstance(value, list):
            whole[name] = [*(known or []), *value]
        elif isinstance(value, str):
            whole[name] = (known or "") + value
        else:
            whole[name] = value


def _merge_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    index = part.get("index", len(calls))
    if not 0 <= index <= len(calls):  # calls come in order; an arbitrary index must not cost memory
        raise ValueError(f"tool call {index} before {len(calls)}")
    if index == len(calls):
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[index]
    if part.get("id"):
        call["id"] = part["id"]
    for name, value in (part.get("function") or {}).items():
        call["function"][name] = call["function"].get(name, "") + value

"""A stream of chat or completion chunks: parsed only where an event may hold more than tokens."""

import re
from typing import Any, Protocol

import orjson

from gateway.dialects import sse
from gateway.dialects.openai.errors import holds_error, translate_error
from gateway.dialects.openai.usage import UsageAccumulator
from gateway.errors import EngineBadResponse, GatewayError
from gateway.usage import Usage

_DONE = b"[DONE]"
# What makes an event worth parsing: these names, unless their value is null. In a text they are escaped (\"usage\").
_MEANINGFUL = re.compile(rb'"(?:usage|error)"\s*:\s*(?!null\b|\s)|"object"\s*:\s*"error"')


class ChunkSink(Protocol):
    """Receives each parsed chunk where a plain answer is made of them."""

    def add(self, chunk: dict[str, Any]) -> None:
        """Adds a chunk."""


class EventStream:
    """Follows one stream: see `gateway.dialects.base.StreamDecoder`.

    Args:
        keep_usage: Whether the client asked for the usage event; otherwise that event is taken out.
        n: Choices per prompt that were asked for.
        sink: Receives every chunk, where the client asked for a plain answer.
    """

    __slots__ = (
        "_answers",
        "_keep_usage",
        "_parser",
        "_sink",
        "_usage",
        "done",
        "events_seen",
        "failure",
        "token_events",
    )

    def __init__(self, *, keep_usage: bool, n: int = 1, sink: ChunkSink | None = None) -> None:
        self._keep_usage = keep_usage
        self._usage = UsageAccumulator(n)
        self._parser = sse.EventParser()
        self._sink = sink
        self._answers = False
        self.token_events = 0
        self.events_seen = 0
        self.done = False
        self.failure: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """The engine's token count, once it has come."""
        return self._usage.usage

    def feed(self, data: bytes) -> bytes:
        """Adds the next bytes; returns complete events only, b"" while one is incomplete.

        A malformed event, or one with an error, sets `failure`; the good ones before it are returned.
        """
        try:
            blocks = self._parser.feed(data)
        except EngineBadResponse as error:
            self.failure = error
            return b""
        if not blocks:
            return b""
        if (
            self.token_events
            and self._sink is None
            and (count := sse.count_simple(blocks))
            and not _needs_parsing(blocks)
        ):
            # The hot path: tokens after the first one.
            self.token_events += count
            self.events_seen += count
            return blocks
        return self._read(blocks)

    def finish(self) -> bytes:
        """The body has ended; its last event may lack the blank line. Sets `failure` where [DONE] is missing."""
        data = self._read(self._parser.finish())
        if not self.done and self.failure is None:
            self.failure = EngineBadResponse("The engine's stream ended early.")
        return data

    def _read(self, blocks: bytes) -> bytes:
        kept: list[bytes] = []
        for event in sse.split(blocks):
            if self.done:  # whatever follows [DONE]
                break
            try:
                kept.append(event.raw if event.data is None else self._parse_event(event.raw, event.data))
            except GatewayError as error:
                self.failure = error
                break  # what follows an error, above all [DONE], would make it look like success
        return b"".join(kept)

    def _parse_event(self, raw: bytes, data: bytes) -> bytes:
        """Parses one event; returns what of it may go to the client.

        Raises:
            GatewayError: It is an error.
            EngineBadResponse: It is not a chunk.
        """
        if data.strip() == _DONE:
            if not self._answers:
                raise EngineBadResponse("The engine's stream held no answer.")
            self.events_seen += 1
            self.done = True
            return raw
        content = _parse(data)
        if content is None:
            return b""
        if holds_error(content):
            raise translate_error(None, content)
        choices = _choices(content)
        self.events_seen += 1
        self._answers |= bool(choices)
        # After the first token every event counts, as on the hot path, however the bytes were split.
        if choices and (self.token_events or _has_token(choices)):
            self.token_events += 1
        usage = content.get("usage")
        if isinstance(usage, dict):
            self._usage.add(usage, choices)
        if self._sink is not None:
            self._sink.add(content)
            return b""
        return raw if self._keep_usage or not isinstance(usage, dict) else _without_usage(content, choices)


def _needs_parsing(blocks: bytes) -> bool:
    """Whether simple events hold more than tokens."""
    return (b'"usage"' in blocks or b'"error"' in blocks) and _MEANINGFUL.search(blocks) is not None


def _without_usage(content: dict[str, Any], choices: list[dict[str, Any]]) -> bytes:
    """An event for a client that did not ask for the usage; b"" if it holds nothing else."""
    if not choices:
        return b""
    # llama.cpp puts the usage of a completion into its last event, beside the end of the text.
    return b"data: %b\n\n" % orjson.dumps({name: content[name] for name in content if name != "usage"})


def _parse(data: bytes) -> dict[str, Any] | None:
    """A chunk; None for `null`, with which llama.cpp begins its answer to a list of prompts: clients break on it."""
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise EngineBadResponse("The engine sent an event that is not JSON.") from error
    if content is not None and not isinstance(content, dict):
        raise EngineBadResponse("The engine sent an event that is not a JSON object.")
    return content


def _choices(content: dict[str, Any]) -> list[dict[str, Any]]:
    choices = content.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise EngineBadResponse("The engine sent an event whose choices are not a list of objects.")
    return choices


def _has_token(choices: list[dict[str, Any]]) -> bool:
    """Whether any choice carries a token: text, reasoning or a tool call. The event with only a role does not."""
    for choice in choices:
        if choice.get("text"):
            return True
        delta = choice.get("delta")
        if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role"):
            return True
    return False

"""A stream of server-sent events on its way through: cut into whole events, read only where that tells something."""

from typing import Any

import orjson

from gateway.dialects.openai.tally import Tally
from gateway.errors import EngineBroken
from gateway.usage import Usage

_END_OF_EVENT = b"\n\n"
_DONE = b"[DONE]"
_COLON = ord(":")  # begins a comment
# An event longer than this is no event: nothing that a model says in one token comes near it.
_LONGEST_EVENT = 4_194_304
_COLON = ord(":")  # begins a comment
# An event longer than this is no event: nothing that a model says in one token comes near it.
_LONGEST_EVENT = 4_194_304
# Bytes that only an event worth reading holds. In text they would be escaped (\"), so text does not trigger them.
_MARKS = (b'"usage":{', b'"usage": {', _DONE, b'"error":', b'"error" :', b"\n:")


class EventStream:
    """Follows one stream. Feed it what the engine sends; it returns what may go to the client.

    Args:
        keep_usage: Whether the client asked for the usage event; otherwise that event is taken out.
        n: Choices per prompt that were asked for.

    Attributes:
        events: Events so far, from the first with a token in it on.
        beats: Events of any kind but comments so far: signs of life.
        done: Whether `[DONE]` has come; only then was the stream complete.
        failure: What the engine said in an error event, once it has.
    """

    __slots__ = ("_keep_usage", "_rest", "_tally", "beats", "done", "events", "failure")

    def __init__(self, *, keep_usage: bool, n: int = 1) -> None:
        self._keep_usage = keep_usage
        self._tally = Tally(n)
        self._rest = b""
        self.events = 0
        self.beats = 0
        self.done = False
        self.failure: str | None = None

    @property
    def usage(self) -> Usage | None:
        """The engine's token count, once it has come."""
        return self._tally.usage

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; returns whole events only, b"" while one is incomplete.

        Raises:
            EngineBroken: The bytes are no server-sent events with JSON in them.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if not data.endswith(_END_OF_EVENT):
            cut = data.rfind(_END_OF_EVENT) + len(_END_OF_EVENT)
            if cut < len(_END_OF_EVENT):
                cut = 0
            data, self._rest = data[:cut], data[cut:]
            if len(self._rest) > _LONGEST_EVENT:
                raise EngineBroken("The engine sent an event without an end.")
            if not data:
                return b""
        if self.events and not _says_something(data):
            # The hot path: a token behind the first one.
            count = data.count(_END_OF_EVENT)
            self.events += count
            self.beats += count
            return data
        kept: list[bytes] = []
        for event in _events(data):
            kept.append(self._read(event))
            if self.failure is not None:
                break  # what follows an error, [DONE] above all, would make it look like success
        return b"".join(kept)

    def _read(self, event: bytes) -> bytes:
        """Learns from one event; returns what of it may go on to the client."""
        payload = _payload(event)
        if payload is None:
            return event  # a comment: keeps connections alive, says nothing
        self.beats += 1
        if payload == _DONE:
            self.done = True
            return event
        if payload == b"null":
            return b""  # llama.cpp begins the answer to a list of prompts with it; clients break on it
        content = _parse(payload)
        if "error" in content:
            self.failure = _reason(content["error"])
            return b""
        choices = _choices(content)
        # Behind the first token every event counts, as on the hot path, however the bytes were cut.
        if choices and (self.events or _has_token(choices)):
            self.events += 1
        usage = content.get("usage")
        if not isinstance(usage, dict):
            return event
        self._tally.add(usage, choices)
        return event if self._keep_usage else _without_usage(content, choices)


def _without_usage(content: dict[str, Any], choices: list[dict[str, Any]]) -> bytes:
    """An event for a client that did not ask for the usage; nothing is left of one that says no more than that."""
    if not choices:
        return b""
    # llama.cpp puts the usage of a completion into its last event, beside the end of the text.
    return b"data: %b\n\n" % orjson.dumps({name: content[name] for name in content if name != "usage"})


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise EngineBroken("The engine sent an event that is not JSON.") from error
    if not isinstance(content, dict):
        raise EngineBroken("The engine sent an event that is not a JSON object.")
    return content


def _choices(content: dict[str, Any]) -> list[dict[str, Any]]:
    choices = content.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise EngineBroken("The engine sent an event whose choices are no list of objects.")
    return choices


def _says_something(data: bytes) -> bool:
    """Whether whole events may hold more than tokens: inside a text these bytes would be escaped."""
    return (
        b'"usage":{' in data
        or b'"usage": {' in data
        or b'"error"' in data
        or _DONE in data
        or b"\n:" in data
        or data[0] == _COLON
    )


def _events(whole: bytes) -> list[bytes]:
    return [event + _END_OF_EVENT for event in whole.split(_END_OF_EVENT) if event]


def _payload(event: bytes) -> bytes | None:
    """The data of an event: its `data:` lines, joined as the standard for server-sent events says; None for a comment.

    Raises:
        EngineBroken: It is neither.
    """
    lines = event.rstrip(b"\n").split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    if data:
        return b"\n".join(data)
    if all(line.startswith(b":") for line in lines):
        return None
    raise EngineBroken("The engine sent something that is no server-sent event.")


def _has_token(choices: list[dict[str, Any]]) -> bool:
    """Whether any choice carries a token: text, reasoning or a tool call. The event with only a role does not."""
    for choice in choices:
        if choice.get("text"):
            return True
        delta = choice.get("delta")
        if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role"):
            return True
    return False


def _reason(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "no reason given")

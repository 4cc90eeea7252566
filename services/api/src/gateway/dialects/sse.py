"""Server-sent events, as WHATWG's HTML standard defines them (9.2.6), parsed from a stream of bytes. The only parser.

Two deliberate deviations: by the standard, an event whose data is empty is not dispatched; clients fail on it, so it is
not passed on either. By the standard, a last event without its blank line is dropped; here it counts if the stream ends
cleanly, since engines are known to end like that after [DONE].
"""

from typing import NamedTuple

from gateway.errors import EngineBadResponse

# Maximum size of an event in bytes: nothing that a model generates in one token comes near it.
_MAX_EVENT = 4_194_304
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
END = b"\n\n"
_SIMPLE = b"data: {"


class Event(NamedTuple):
    """One event, or a block of lines that is not one.

    Attributes:
        raw: What may go to a client: the lines of an event, or only the comments of a block without data; b"" if
            nothing is left. Ends with a blank line.
        data: The values of its data fields, joined by newlines; None where there are none, or they are all empty.
    """

    raw: bytes
    data: bytes | None


class EventParser:
    """Splits a stream into events, however its bytes were split on the way and whatever line ends it uses."""

    __slots__ = ("_buffer", "_ended_in_cr", "_has_begun")

    def __init__(self) -> None:
        self._buffer = b""
        self._ended_in_cr = False
        self._has_begun = False

    def feed(self, data: bytes) -> bytes:
        """Adds the next bytes; returns the blocks that they complete, with plain newlines, for `split`.

        Raises:
            EngineBadResponse: An event has no end.
        """
        if self._ended_in_cr:
            data = data.removeprefix(b"\n")
            self._ended_in_cr = False
        if b"\r" in data:
            self._ended_in_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._has_begun:
            if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
                self._buffer = data
                return b""
            data = data.removeprefix(_BYTE_ORDER_MARK)
            self._has_begun = True
        if data.endswith(END):
            return data
        cut = data.rfind(END)
        if cut < 0:
            self._buffer = data
            data = b""
        else:
            cut += len(END)
            self._buffer = data[cut:]
            data = data[:cut]
        if len(self._buffer) > _MAX_EVENT:
            raise EngineBadResponse("The engine sent an event without an end.")
        return data

    def finish(self) -> bytes:
        """The stream has ended cleanly: returns what is left of it as a complete block."""
        rest, self._buffer = self._buffer.rstrip(b"\n"), b""
        return rest + END if rest else b""


def split(blocks: bytes) -> list[Event]:
    """Splits complete blocks, as `EventParser` returns them, into events."""
    return [_event(block) for block in blocks.split(END) if block.strip(b"\n")]


def count_simple(blocks: bytes) -> int:
    """The number of events in these blocks, if each is a single line with one JSON object as data; 0 otherwise.

    For the hot path: nearly every event of an engine has this form, and the check costs a fraction of `split`.
    """
    count = blocks.count(END)
    simple = (
        blocks.startswith(_SIMPLE) and blocks.count(END + _SIMPLE) == count - 1 and blocks.count(b"\n") == 2 * count
    )
    return count if simple else 0


def _event(block: bytes) -> Event:
    lines = block.split(b"\n")
    data = [value for name, value in map(_field, lines) if name == b"data"]
    if any(data):
        return Event(block.lstrip(b"\n") + END, b"\n".join(data))
    comments = [line for line in lines if line.startswith(b":")]
    return Event(b"\n".join(comments) + END if comments else b"", None)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")

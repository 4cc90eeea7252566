"""Server-sent events, as WHATWG's HTML standard defines them (9.2.6), cut out of a stream of bytes. The only parser.

Two deviations, on purpose. An event whose data is empty is, by the standard, not dispatched; clients fail on it, so it
is not passed on either. A last event that lacks its blank line is, by the standard, dropped; here it counts when the
stream ends cleanly, since engines are known to end so behind [DONE].
"""

from typing import NamedTuple

from gateway.errors import EngineBadResponse

# An event longer than this, in bytes, is no event: nothing that a model says in one token comes near it.
_MAX_EVENT = 4_194_304
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
END = b"\n\n"
_SIMPLE = b"data: {"


class Event(NamedTuple):
    """One event, or a block of lines that amounts to none.

    Attributes:
        raw: What may go on to a client: the lines of an event, or only the comments of a block without data; b"" where
            nothing is left. Ends with a blank line.
        data: The values of its data fields, joined by newlines; None where there are none, or they are all empty.
    """

    raw: bytes
    data: bytes | None


class EventParser:
    """Cuts a stream into events, however its bytes were split on the way and whichever line ends it uses."""

    __slots__ = ("_begun", "_buffer", "_ended_in_cr")

    def __init__(self) -> None:
        self._buffer = b""
        self._ended_in_cr = False
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; returns the whole blocks that they complete, with plain newlines, for `split`.

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
        if not self._begun:
            if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
                self._buffer = data
                return b""
            data = data.removeprefix(_BYTE_ORDER_MARK)
            self._begun = True
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
        """The stream has ended cleanly: what is left of it, as a whole block."""
        rest, self._buffer = self._buffer.rstrip(b"\n"), b""
        return rest + END if rest else b""


def split(blocks: bytes) -> list[Event]:
    """Whole blocks, as `EventParser` returns them, as events."""
    return [_event(block) for block in blocks.split(END) if block.strip(b"\n")]


def count_simple(blocks: bytes) -> int:
    """How many events these whole blocks are, if each is a single line with one JSON object as data; 0 if any is not.

    For the hot path: nearly every event of an engine has this form, and telling so costs a fraction of `split`.
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

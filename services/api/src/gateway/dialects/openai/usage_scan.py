"""Finds `usage` in a plain answer that is too large to be decoded: a scan of the top level, bytes as they come.

The order of an answer's fields is not guaranteed, and its content may hold the word, so every byte must be looked at.
Where a piece lies wholly below the top level, only the depth at its end matters, and that is counted without a loop in
Python. What it costs is in docs/measured.md.
"""

import re
from typing import Any

import orjson

from gateway.dialects.openai.answer import parse_usage
from gateway.usage import Usage

# Outside of strings: what opens, closes, and, on the top level, separates.
_TOP = re.compile(rb'["{}\[\],:]')
_BELOW = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
# A usage object, or a name on the top level, is never as long as this, in bytes.
_MAX_CAPTURED = 65_536


class UsageScanner:
    """Scans one answer: see `gateway.dialects.base.UsageScanner`. Feed it all of it, in order.

    Attributes:
        complete: Whether a JSON object has begun and ended; otherwise the answer is incomplete.
    """

    __slots__ = (
        "_backslashes",
        "_captured",
        "_depth",
        "_in_string",
        "_is_key",
        "_name",
        "_wanted",
        "complete",
        "usage",
    )

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._backslashes = 0
        self._is_key = False
        self._name = b""
        self._wanted = False
        self._captured: bytearray | None = None
        self.complete = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Adds the next bytes."""
        position = 0
        while position < len(data):
            start = position
            if self._in_string:
                position = self._string_end(data, position)
                self._capture(data[start:position])
                if not self._in_string and self._is_key:
                    self._name = bytes(self._captured or b"")
                    self._captured = None
                continue
            if self._depth > 1 and self._captured is None and (end := self._skip(data, position)):
                position = end
                continue
            match = (_TOP if self._depth == 1 else _BELOW).search(data, position)
            position = len(data) if match is None else match.end()
            self._capture(data[start:position])
            if match is not None:
                self._see(data[position - 1])

    def _see(self, character: int) -> None:
        """A structural character outside of strings."""
        if character == _QUOTE:
            self._in_string = True
            self._backslashes = 0
            if self._is_key:
                self._captured = bytearray(b'"')
        elif character in _OPENING:
            self._depth += 1
            self._is_key = self._depth == 1
        elif character in _CLOSING:
            if self._depth == 1:
                self._value_ends()
                self.complete = True
            self._depth -= 1
        elif self._depth == 1 and character == ord(":"):
            self._is_key = False
            self._wanted = _text(self._name) == "usage"
            self._captured = bytearray() if self._wanted else None
        elif self._depth == 1:
            self._value_ends()
            self._is_key = True

    def _skip(self, data: bytes, position: int) -> int:
        """Skips to the end of `data` if the top level is not reached before that; returns 0 if it is."""
        rest = data[position:] if position else data
        if b"\\" in rest:
            outside, is_open, tail = _STRING.sub(b"", rest).partition(b'"')
        else:
            pieces = rest.split(b'"')  # outside and inside of strings, in turn; cheaper than the regular expression
            outside, is_open, tail = b"".join(pieces[::2]), b"" if len(pieces) % 2 else b'"', pieces[-1]
        brackets = outside.translate(None, _NO_BRACKETS)
        while (fewer := brackets.replace(b"[]", b"").replace(b"{}", b"")) != brackets:
            brackets = fewer
        closing = len(brackets) - len(brackets.lstrip(b"]}"))
        if closing >= self._depth - 1:
            return 0
        self._depth += len(brackets) - 2 * closing
        if not is_open:
            return len(data)
        self._in_string = True  # the last string does not end here
        self._backslashes = 0
        return len(data) - len(tail)

    def _value_ends(self) -> None:
        """A value of the top level has ended, with the separator behind it."""
        if self._wanted and self._captured is not None:
            found = parse_usage(_parsed(bytes(self._captured[:-1])))
            self.usage = found or self.usage
        self._captured = None
        self._wanted = False

    def _string_end(self, data: bytes, position: int) -> int:
        """Where the string ends: after its closing quote, or at the end of `data`."""
        while (quote := data.find(b'"', position)) >= 0:
            before = len(data[position:quote]) - len(data[position:quote].rstrip(b"\\"))
            escaped = before + (self._backslashes if before == quote - position else 0)
            self._backslashes = 0
            position = quote + 1
            if escaped % 2 == 0:
                self._in_string = False
                return position
        rest = len(data) - position
        trailing = rest - len(data[position:].rstrip(b"\\"))
        self._backslashes = trailing + (self._backslashes if trailing == rest else 0)
        return len(data)

    def _capture(self, piece: bytes) -> None:
        if self._captured is None:
            return
        self._captured += piece
        if len(self._captured) > _MAX_CAPTURED:
            self._captured = None


def _text(name: bytes) -> Any:
    return "usage" if name == b'"usage"' else _parsed(name) if _BACKSLASH in name else None


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None

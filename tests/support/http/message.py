"""HTTP/1.1 messages as bytes: encodes requests and parses responses, for every raw client of the tests."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

END_OF_HEAD = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Read(NamedTuple):
    """What one read returned, and when, by `time.monotonic`."""

    at: float
    data: bytes


class Head(NamedTuple):
    """The status line and the headers of a response; header names are in lower case."""

    status: int
    headers: dict[str, str]


@dataclass
class Response:
    """A complete response. `reads` are the reads in which it arrived, the head included."""

    status: int
    headers: dict[str, str]
    body: bytes
    reads: list[Read] = field(default_factory=list, repr=False)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must have OpenAI's shape."""
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str)
        assert error["message"]
        found: dict[str, Any] = error
        return found

    @property
    def event_data(self) -> list[bytes]:
        """The data of each server-sent event of a stream."""
        return [event.removeprefix(b"data: ") for event in self.body.split(b"\n\n") if event.startswith(b"data: ")]


def encode_request(
    path: str, body: Any = None, *, key: str | None = None, method: str = "POST", headers: dict[str, str] | None = None
) -> bytes:
    """A request as bytes; a body that is not bytes is sent as JSON."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "gateway", "content-type": "application/json", "content-length": str(len(content))}
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    fields |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def parse_head(head: bytes) -> Head:
    """Parses a response's head, with or without the empty line that ends it."""
    status_line, *lines = head.removesuffix(END_OF_HEAD).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Head(int(status_line.split()[1]), headers)


def content_length(head: bytes) -> int | None:
    """The length that a head announces; None where it announces none."""
    found = _LENGTH.search(head)
    return None if found is None else int(found[1])


def is_complete(received: bytes) -> bool:
    """Whether a whole response has arrived; one without a length ends with the last chunk."""
    head, end, body = received.partition(END_OF_HEAD)
    if not end:
        return False
    length = content_length(head)
    return body.endswith(LAST_CHUNK) if length is None else len(body) >= length


def dechunk(body: bytes) -> bytes:
    """The content of a chunked body, which must be framed correctly and end with the last chunk."""
    content = b""
    while True:
        size, crlf, rest = body.partition(b"\r\n")
        assert crlf, f"no chunk size in {body[:80]!r}"
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", "a chunk does not have the length that it announces"
        if length == 0:
            assert rest == b"\r\n", "bytes after the last chunk"
            return content
        content += rest[:length]
        body = rest[length + 2 :]

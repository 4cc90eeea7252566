"""HTTP by hand, over one socket: for what a client library hides."""

import json
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from tests.support.program import HOST

_END_OF_HEAD = b"\r\n\r\n"
_TOKEN = re.compile(rb'"content": ?"[^"]')


class Piece(NamedTuple):
    """What one read gave, and when."""

    at: float
    data: bytes


@dataclass
class Answer:
    """A whole answer. `pieces` are the reads that it came in, head included."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: list[Piece] = field(repr=False)

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
    def data(self) -> list[bytes]:
        """The payloads of a stream's events."""
        return [event.removeprefix(b"data: ") for event in self.body.split(b"\n\n") if event.startswith(b"data: ")]


def encode(
    path: str, body: Any = None, *, key: str | None = None, method: str = "POST", headers: dict[str, str] | None = None
) -> bytes:
    """A request as bytes; a body that is not bytes already is sent as JSON."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "gateway", "content-type": "application/json", "content-length": str(len(content))}
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    fields |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


class Raw:
    """A connection to a port of this machine. Use it with `with`."""

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pieces: list[Piece] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def received(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def read(self) -> bytes:
        """One read; b"" at the end."""
        data = self.socket.recv(65_536)
        if data:
            self.pieces.append(Piece(time.monotonic(), data))
        return data

    def read_until(self, mark: bytes) -> bytes:
        """Reads until something has come; returns all that has."""
        while mark not in self.received:
            if not self.read():
                raise EOFError(f"the connection ended before {mark!r}: {self.received[-500:]!r}")
        return self.received

    def read_until_token(self) -> None:
        """Reads until a chat's first token has come; the event that only names the role is none."""
        while not _TOKEN.search(self.received):
            if not self.read():
                raise EOFError(f"the connection ended before the first token: {self.received[-500:]!r}")

    def answer(self) -> Answer:
        """Reads one whole answer, as its head says how long that is."""
        head = self.read_until(_END_OF_HEAD).partition(_END_OF_HEAD)[0].decode("latin-1")
        status_line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = dechunk(self._body_until(b"0\r\n\r\n"))
        else:
            length = int(headers.get("content-length", "0"))
            while len(self._body()) < length and self.read():
                pass
            body = self._body()[:length]
        return Answer(int(status_line.split()[1]), headers, body, self.pieces)

    def reset(self) -> float:
        """Goes away with a TCP reset; returns when."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.finish()

    def finish(self) -> float:
        """Goes away in order, with a FIN; returns when."""
        gone = time.monotonic()
        self.socket.close()
        return gone

    def _body(self) -> bytes:
        return self.received.partition(_END_OF_HEAD)[2]

    def _body_until(self, end: bytes) -> bytes:
        while not self._body().endswith(end):
            if not self.read():
                break
        return self._body()


def dechunk(body: bytes) -> bytes:
    """The content of a chunked body, which must be framed right and end as it should."""
    content = b""
    while True:
        size, crlf, rest = body.partition(b"\r\n")
        assert crlf, f"no size of a chunk in {body[:80]!r}"
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", "a chunk is not as long as it says"
        if length == 0:
            assert rest == b"\r\n", "something behind the last chunk"
            return content
        content += rest[:length]
        body = rest[length + 2 :]


def ask(
    port: int, path: str, body: Any = None, *, key: str | None = None, method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    """One request over a connection of its own."""
    with Raw(port) as raw:
        return raw.send(encode(path, body, key=key, method=method, headers=headers)).answer()

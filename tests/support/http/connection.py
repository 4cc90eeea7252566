"""A synchronous HTTP client over one socket that sends exact bytes and keeps every read: what a library would hide."""

import re
import socket
import ssl
import struct
import time
from typing import Any, Self

from tests.support.http.message import (
    END_OF_HEAD,
    LAST_CHUNK,
    Read,
    Response,
    dechunk,
    encode_request,
    parse_head,
)
from tests.support.program import HOST

_TOKEN = re.compile(rb'"content": ?"[^"]')


class RawConnection:
    """A connection to a port of this machine. Use it with `with`.

    Args:
        port: The port.
        timeout: Seconds that one operation on the socket may take.
        tls: Trust for a connection over TLS to `localhost`; None connects without TLS.
    """

    def __init__(self, port: int, timeout: float = 30.0, *, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = _over_tls(self.socket, tls)
        self.reads: list[Read] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def received(self) -> bytes:
        return b"".join(read.data for read in self.reads)

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def read(self) -> bytes:
        """One read; b"" at the end."""
        data = self.socket.recv(65_536)
        if data:
            self.reads.append(Read(time.monotonic(), data))
        return data

    def read_until(self, mark: bytes) -> bytes:
        """Reads until `mark` has arrived; returns everything received."""
        while mark not in self.received:
            if not self.read():
                raise EOFError(f"the connection ended before {mark!r}: {self.received[-500:]!r}")
        return self.received

    def read_until_first_token(self) -> None:
        """Reads until a chat's first token has arrived; the event with only the role does not count."""
        while not _TOKEN.search(self.received):
            if not self.read():
                raise EOFError(f"the connection ended before the first token: {self.received[-500:]!r}")

    def read_response(self) -> Response:
        """Reads one whole response, with the length that its head announces."""
        status, headers = parse_head(self.read_until(END_OF_HEAD).partition(END_OF_HEAD)[0])
        if headers.get("transfer-encoding") == "chunked":
            body = dechunk(self._body_until(LAST_CHUNK))
        else:
            length = int(headers.get("content-length", "0"))
            while len(self._body()) < length and self.read():
                pass
            body = self._body()[:length]
        return Response(status, headers, body, self.reads)

    def reset(self) -> float:
        """Closes with a TCP reset; returns when."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.close()

    def close(self) -> float:
        """Closes in order, with a FIN; returns when."""
        closed_at = time.monotonic()
        self.socket.close()
        return closed_at

    def _body(self) -> bytes:
        return self.received.partition(END_OF_HEAD)[2]

    def _body_until(self, end: bytes) -> bytes:
        while not self._body().endswith(end):
            if not self.read():
                break
        return self._body()


def _over_tls(plain: socket.socket, trust: ssl.SSLContext) -> ssl.SSLSocket:
    """Completes the handshake; the socket is closed when that fails, so that none is left to the garbage collector."""
    secure = trust.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
    try:
        secure.do_handshake()
    except OSError:
        secure.close()
        raise
    return secure


def send_request(
    port: int, path: str, body: Any = None, *, key: str | None = None, method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    """One request over a connection of its own."""
    with RawConnection(port) as connection:
        return connection.send(encode_request(path, body, key=key, method=method, headers=headers)).read_response()

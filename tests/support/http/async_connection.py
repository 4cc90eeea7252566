"""The asynchronous twin of `connection`: one connection of many, in the test's own event loop."""

import asyncio
import ssl
from typing import Self

from tests.support.http.message import (
    END_OF_HEAD,
    LAST_CHUNK,
    Response,
    content_length,
    dechunk,
    is_complete,
    parse_head,
)
from tests.support.program import HOST


class AsyncConnection:
    """One connection, and what has arrived since the last request was sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = b""

    @classmethod
    async def open(cls, port: int, *, tls: ssl.SSLContext | None = None) -> Self:
        """Connects to a port of this machine, over TLS where there is a context for it."""
        return cls(*await asyncio.open_connection(HOST, port, ssl=tls))

    @property
    def ended(self) -> bool:
        """Whether the other side's end, or an error, has been seen."""
        return self._reader.at_eof() or self._reader.exception() is not None

    @property
    def complete(self) -> bool:
        """Whether a whole response has arrived."""
        return is_complete(self.received)

    @property
    def status(self) -> int:
        return parse_head(self.received.partition(END_OF_HEAD)[0]).status

    @property
    def body(self) -> bytes:
        """What has arrived of the body, with its chunks."""
        return self.received.partition(END_OF_HEAD)[2]

    def send(self, data: bytes) -> None:
        self.received = b""
        self._writer.write(data)

    async def read(self) -> bool:
        """Reads what arrives next; False at the end."""
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            return False
        self.received += data
        return bool(data)

    async def read_to_end(self) -> None:
        """Reads to the end of the response, or of the connection."""
        while not self.complete and await self.read():
            pass

    async def read_response(self) -> Response:
        """Reads exactly one response and nothing behind it.

        Raises:
            OSError: The connection broke.
            asyncio.IncompleteReadError: It ended before the response did.
        """
        head = await self._reader.readuntil(END_OF_HEAD)
        status, headers = parse_head(head)
        length = content_length(head)
        if headers.get("transfer-encoding") == "chunked":
            body = dechunk(await self._reader.readuntil(b"\r\n" + LAST_CHUNK))
        else:
            body = await self._reader.readexactly(length or 0)
        return Response(status, headers, body)

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        """Closes at once, without waiting for what is still to be written."""
        self._writer.transport.abort()

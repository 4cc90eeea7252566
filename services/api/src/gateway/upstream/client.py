"""The client of one engine: a pool of connections, and the only place where foreign errors become ours."""

import asyncio
import errno
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from gateway.errors import EngineReset, EngineTimeout, EngineUnreachable, GatewayError, OutOfResources
from gateway.upstream.connect_limit import ConnectLimit
from gateway.upstream.connect_timeout import connect_timeout
from gateway.upstream.connection import Connection
from gateway.upstream.engine_key import EngineKey
from gateway.upstream.response import Response

# Engines on uvicorn close idle connections after 5 s; a connection that was idle for longer than this is not reused.
_IDLE_LIMIT_S = 4.0
_MAX_IDLE = 256
# llama.cpp closes a new connection on which nothing arrives for 5 s, and may have accepted it long before a busy event
# loop gets to write. Where that took longer than this, a closed connection says nothing about the engine.
_SLOW_CONNECT_S = 1.0
# An answer that is not about the request: the server times out an idle connection.
_REQUEST_TIMEOUT = 408
# What connecting fails with when this process or machine is out of descriptors, ports or memory.
_OUT_OF_RESOURCES = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)

# The table of foreign errors: what connecting can raise, and what it means for a request.
_CONNECT_ERRORS: Mapping[type[Exception], str] = {
    ConnectionRefusedError: "refuses connections",
    ConnectionResetError: "resets connections",
    socket.gaierror: "has a name that does not resolve",
    UnicodeError: "has an invalid name",
    ssl.SSLError: "does not complete the TLS handshake",
    OSError: "cannot be reached",
}


class Upstream:
    """Speaks HTTP/1.1 to one engine.

    Args:
        name: The engine's name, for messages.
        url: http(s)://host:port.
        key: The key that the engine requires, or None. It may change at any time.
        connect_timeout: Seconds to connect.
    """

    def __init__(self, name: str, url: str, *, key: EngineKey | None, connect_timeout: float) -> None:
        parts = urlsplit(url)
        self._name = name
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._connect_timeout = connect_timeout
        self._idle: deque[Connection] = deque()
        self._connect_limit = ConnectLimit()
        self._key = key
        self._host_line = f" HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode("latin-1")

    async def request(
        self, method: bytes, path: bytes, body: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Response:
        """Sends a request and returns once the head of the answer has arrived. Close what it returns.

        The engine may have closed a reused connection meanwhile, or a new one on which this process was slow to write.
        A request to which this happens before any byte of an answer is sent once more.

        Raises:
            EngineTimeout: Connecting took too long (phase connect).
            EngineUnreachable: Nothing accepts connections there.
            EngineReset: A new connection broke before the head.
            EngineBadResponse: The answer is not HTTP.
            OutOfResources: This process cannot connect to anything.
        """
        request = self._encode(method, path, body, headers)
        connection = self._take_idle()
        if connection is not None:
            connection.send(request)
            try:
                await connection.wait_for_head()
            except EngineReset as error:
                if error.has_begun:
                    raise
            else:
                if connection.status != _REQUEST_TIMEOUT:
                    return connection
                connection.abort()  # it crossed our request: what timed out is the connection
        is_retry = False
        while True:
            connection, connect_s = await self._connect(request)
            try:
                await connection.wait_for_head()
            except EngineReset as error:
                if is_retry or error.has_begun or connect_s < _SLOW_CONNECT_S:
                    raise
                is_retry = True
            else:
                return connection

    async def fetch(self, method: bytes, path: bytes, body: bytes = b"", *, limit: int) -> tuple[int, bytes]:
        """Sends a request and reads the whole answer: status and body of at most `limit` bytes.

        Raises:
            EngineError: As `request` and `Response.read`.
        """
        response = await self.request(method, path, body)
        try:
            return response.status, await response.read(limit)
        finally:
            response.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the idle connections; one with an answer in progress belongs to whoever reads that."""
        while self._idle:
            self._idle.pop().abort()

    def _encode(self, method: bytes, path: bytes, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
        extra = b"".join([b"%b: %b\r\n" % header for header in headers])
        if self._key is not None:
            extra = self._key.authorization + extra
        if not body:
            return b"%b %b%b%b\r\n" % (method, path, self._host_line, extra)
        return b"%b %b%b%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            *(method, path, self._host_line, extra),
            len(body),
            body,
        )

    async def _connect(self, request: bytes) -> tuple[Connection, float]:
        """A connection on which the request was written, and the seconds that this took."""
        loop = asyncio.get_running_loop()
        try:
            async with self._connect_limit.turn(), connect_timeout(self._connect_timeout):
                began = loop.time()
                _, connection = await loop.create_connection(
                    lambda: Connection(self._give_back, request), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise EngineTimeout(
                f"The engine {self._name} did not accept a connection within {self._connect_timeout:g} s.",
                phase="connect",
            ) from error
        except (OSError, UnicodeError) as error:
            raise self._translate(error) from error
        return connection, connection.connected_at - began

    def _translate(self, error: Exception) -> GatewayError:
        if isinstance(error, OSError) and error.errno in _OUT_OF_RESOURCES and not isinstance(error, socket.gaierror):
            return OutOfResources(
                f"The gateway cannot open another connection ({error.strerror}): it serves too many requests at once.",
                retry_after=1,
            )
        reason = next(text for kind, text in _CONNECT_ERRORS.items() if isinstance(error, kind))
        return EngineUnreachable(f"The engine {self._name} {reason}.")

    def _take_idle(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - _IDLE_LIMIT_S
        while self._idle:
            connection = self._idle.pop()  # the most recently used one: the others may age out
            if connection.usable and connection.idle_since > oldest and connection.is_quiet:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(connection)
        if len(self._idle) > _MAX_IDLE:
            self._idle.popleft().abort()

"""One HTTP/1.1 connection to an engine: an asyncio protocol around httptools' parser.

Unsolicited bytes (while the connection is idle, or a second answer) belong to nobody: such a connection never carries
another request, so that no client ever gets the answer to another client's request.
"""

import asyncio
import select
from collections.abc import Callable
from typing import cast

import httptools

from gateway.errors import EngineBadResponse, EngineReset

# Seconds for an answer to end of which all that matters has arrived, before the connection is aborted.
_LINGER_S = 1.0
# Reading from the engine pauses while more than this waits for a slow client, in bytes.
_HIGH_WATER = 65_536
# A head of more bytes than this, including interim answers, does not come from an engine.
_MAX_HEAD_BYTES = 524_288
_FIRST_FINAL_STATUS = 200


class Connection(asyncio.Protocol):
    """A connection and, while there is one, its answer. One request at a time.

    Args:
        give_back: Called with this connection when its answer is complete and it can carry another request.
        request: The first request, written as soon as the connection is made: engines close one on which nothing
            arrives, and whoever opens it may have to wait for the event loop meanwhile.
    """

    def __init__(self, give_back: Callable[["Connection"], None], request: bytes = b"") -> None:
        self._give_back = give_back
        self._first_request = request
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._paused = False
        self._poll = select.poll()
        self._idle = True
        self.idle_since = self.connected_at = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        """Nothing of an answer has arrived."""
        self._in_interim = False
        self._head_bytes = 0
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._head = False
        self._complete = False
        self._spoiled = False
        self._keep_alive = False
        self._linger: asyncio.TimerHandle | None = None
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    # Called by the client

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._failure is None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits in the socket: neither unsolicited bytes nor the end of the connection."""
        return not self._poll.poll(0)

    @property
    def has_begun(self) -> bool:
        """Whether any part of an answer to the current request, even an interim one, has arrived."""
        return self._head_bytes > 0

    def send(self, request: bytes) -> None:
        """Sends a whole request on a connection that is usable; `wait_for_head` is next."""
        self._reset()
        self._idle = False
        if self._transport is not None:
            self._transport.write(request)

    async def wait_for_head(self) -> None:
        """Waits for the head of the answer to the request that was sent.

        Without a head, whatever the reason, even a cancellation, the connection is aborted: nobody waits for it any
        more.

        Raises:
            EngineReset: The connection broke first.
            EngineBadResponse: The answer is not HTTP.
        """
        try:
            while not self._head:
                await self._change()
        except BaseException:
            self.abort()
            raise

    async def chunk(self) -> bytes:
        """See `Response`."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._change()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def read(self, limit: int) -> bytes:
        """See `Response`."""
        parts: list[bytes] = []
        size = 0
        while data := await self.chunk():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise EngineBadResponse(f"The engine's answer is longer than {limit} bytes.")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def beginning(self, limit: int) -> bytes:
        """See `Response`."""
        body = b""
        while len(body) < limit and (data := await self.chunk()):
            body += data
        return body[:limit]

    def close(self, *, linger: bool = False, reuse: bool = True) -> None:
        """See `Response`."""
        if not self.usable:
            return
        self._keep_alive &= reuse
        if self._complete and self._keep_alive and not self._chunks:
            self.idle_since = self._loop.time()
            self._idle = True
            self._give_back(self)
        elif linger and self._keep_alive:
            self._linger = self._loop.call_later(_LINGER_S, self.abort)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _change(self) -> asyncio.Future[None]:
        """What to wait for until more of the answer has arrived, or nothing more will."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    def _break(self, reason: str) -> None:
        self._fail(EngineBadResponse(reason))
        self.abort()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self.connected_at = self._loop.time()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        if self._first_request:
            self._idle = False
            self._transport.write(self._first_request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._idle:
            self.abort()  # unsolicited
            return
        if not self._head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(f"The engine does not speak HTTP: {error}.")
            return
        if not self._head and self._head_bytes > _MAX_HEAD_BYTES:
            self._break("The head of the engine's answer is too large.")
            return
        if self._buffered > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`; the transport then closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        if exc is None and self._head and not self._complete and self._ends_with_connection():
            self._complete = True
            self._wake()
        elif not self._complete:
            where = "before it had finished answering" if self.has_begun else "before it answered"
            self._fail(EngineReset(f"The engine closed the connection {where}.", has_begun=self.has_begun))

    def _ends_with_connection(self) -> bool:
        return b"content-length" not in self.headers and b"transfer-encoding" not in self.headers

    # Called by the parser

    def on_message_begin(self) -> None:
        """See httptools. A second answer to one request belongs to nobody, and the connection is not used again."""
        self._spoiled = self._complete
        if self._spoiled:
            self._keep_alive = False
            if self._idle:
                self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if not self._head:  # otherwise a trailer, or part of a second answer
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._spoiled:
            return
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            # An interim answer (RFC 9110, 15.2): the final one follows. After 101, which the parser refuses, none does.
            self._in_interim = True
            self.headers = {}
            return
        self.status = status
        self._keep_alive = self._parser.should_keep_alive()
        self._head = True

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if not self._spoiled:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._in_interim:
            self._in_interim = False
            return
        self._complete = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
            self.close()

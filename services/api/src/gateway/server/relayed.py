"""A relayed request and its answer, straight on the client's connection: no ASGI messages, and no task but its own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from gateway.coding import Body, too_large
from gateway.dialects.base import Endpoint
from gateway.errors import ClientDisconnected, GatewayError
from gateway.exchange import Exchange, Header
from gateway.server.owner import Application
from gateway.server.uvicorn_internals import CONTINUE, HIGH_WATER_LIMIT, FlowControl, Output

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_NOTHING_MORE = b"0\r\n\r\n"


class RelayedExchange(Exchange):
    """A relayed request and its answer. The connection delivers the request; whoever serves it writes the answer.

    Args:
        endpoint: The relayed path.
        method: The request's method.
        headers: The request's headers.
        output: Where the answer goes.
        flow: Pauses and resumes the connection.
        is_http_1_0: Whether the client speaks HTTP/1.0, and knows no chunks.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body.
        keep_alive: Whether another request may follow on the connection.
        ended: Called when the answer is complete.
        abort: Cuts the connection.

    Attributes:
        half_closed: The client has closed its side: nobody may be left to read an answer.
        disconnected: The connection is gone.
        more_body: Whether the request's body is not complete.
        response_started: Whether a part of the answer has been written.
        response_complete: Whether all of it has.
    """

    __slots__ = (
        "_abort",
        "_buffered",
        "_ended",
        "_endpoint",
        "_ends_with_connection",
        "_expects_continue",
        "_failure",
        "_flow",
        "_head",
        "_is_chunked",
        "_is_http_1_0",
        "_on_disconnect",
        "_output",
        "_pieces",
        "_unsent",
        "_waiter",
        "disconnected",
        "half_closed",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        method: str,
        headers: Sequence[Header],
        output: Output,
        flow: FlowControl,
        *,
        is_http_1_0: bool,
        expects_continue: bool,
        keep_alive: bool,
        ended: Callable[[], None],
        abort: Callable[[], None],
    ) -> None:
        super().__init__(method, headers)
        self._endpoint = endpoint
        self._output, self._flow, self._ended, self._abort = output, flow, ended, abort
        self._is_http_1_0, self._expects_continue = is_http_1_0, expects_continue
        self.keep_alive = keep_alive
        self.half_closed = self.disconnected = self.response_started = self.response_complete = False
        self.more_body = True
        self._pieces: list[bytes] = []  # of the body, not yet read
        self._buffered = 0  # bytes in them
        self._failure: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_disconnect: Callable[[], None] | None = None
        self._head: tuple[int, Sequence[Header]] | None = None
        self._is_chunked = False
        self._ends_with_connection = False
        self._unsent = 0  # bytes of the body that its head has announced

    # Called by the connection

    def add(self, piece: bytes) -> None:
        """Adds a piece of the request's body; pauses a client that is faster than the application."""
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._buffered > HIGH_WATER_LIMIT:
            self._flow.pause_reading()
        self._wake()

    def complete(self) -> None:
        """The request's body is complete."""
        self.more_body = False
        self._wake()

    def fail_body(self, error: GatewayError) -> None:
        """The request's body will never be complete."""
        self._failure = error
        self.keep_alive = False
        self._wake()

    def half_close(self) -> None:
        """The client has closed its side."""
        self.half_closed = True
        self._left()

    def disconnect(self) -> None:
        """The connection is gone."""
        if not self.response_complete:
            self.disconnected = True
            self._left()

    def run(self, app: Application) -> Coroutine[Any, Any, None]:
        """Has the application serve this request."""
        return app.relay(self, self._endpoint)

    def close(self) -> None:
        """See `Exchange`."""
        if not (self.response_complete or self.disconnected):
            self._abort()

    def _left(self) -> None:
        self._wake()
        if self._on_disconnect is not None:
            self._on_disconnect()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The request

    def whole_body(self, limit: int) -> bytes | None:
        """See `Exchange`."""
        if self.more_body or self.disconnected or b"content-encoding" in self._values:
            return None
        if self._buffered > limit:
            raise too_large(limit)
        return self._take()

    async def read_body(self, limit: int, progress: Callable[[int], object] = lambda _: None) -> bytes:
        """See `Exchange`."""
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            raise too_large(limit)
        body = Body(limit, b",".join([value for name, value in self._headers if name == b"content-encoding"]))
        if self._expects_continue and self.more_body and not self._output.is_closing():
            self._output.write(CONTINUE)
        while piece := await self._piece():
            await body.add(piece)
            progress(body.size)
        return body.end()

    async def _piece(self) -> bytes:
        """The next piece of the body as it comes; b"" at its end.

        Raises:
            ClientDisconnected, GatewayError: There will be no more, although the body is not complete.
        """
        while not self._pieces and self.more_body and not (self.disconnected or self.half_closed or self._failure):
            self._flow.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._pieces and not self.disconnected:
            return self._take()
        if self._failure is not None:
            raise self._failure
        if self.more_body or self.disconnected:
            raise ClientDisconnected("The client closed the connection while it sent its request.")
        return b""

    def _take(self) -> bytes:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        return body

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """See `Exchange`."""
        self._on_disconnect = callback
        if callback is not None and (self.disconnected or self.half_closed):
            callback()

    async def has_left(self) -> bool:
        """See `Exchange`."""
        return self.disconnected or self.half_closed

    # The answer

    async def write_head(self, status: int, headers: Sequence[Header]) -> None:
        """See `Exchange`: it is written with the first piece of the body."""
        self.observation.status = status
        self._head = (status, headers)

    async def write(self, data: bytes) -> None:
        """See `Exchange`."""
        if self._flow.write_paused:
            await self._flow.drain()
        if self.disconnected:
            return
        head = b"" if self.response_started else self._start()
        if self._is_chunked and data:
            self._output.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        else:
            self._unsent -= len(data)
            self._output.write(head + data)

    async def end(self, data: bytes = b"") -> None:
        """See `Exchange`.

        Raises:
            RuntimeError: The body was not as long as its head said.
        """
        if self._flow.write_paused:
            await self._flow.drain()
        if self.disconnected:
            return
        head = b"" if self.response_started else self._start()
        if self.method == "HEAD":
            self._output.write(head)
        elif self._is_chunked:
            last = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            self._output.write(head + last + _NOTHING_MORE)
        else:
            self._unsent -= len(data)
            self._output.write(head + data)
            if self._unsent and not self._ends_with_connection:
                raise RuntimeError("The body is not as long as its content-length.")
        self.response_complete = True
        if not self.keep_alive:
            self._output.close()
        self._ended()

    async def abort(self) -> None:
        """See `Exchange`."""
        self._abort()

    def _start(self) -> bytes:
        """The answer's head. Whether it is the connection's last is decided now, as late as possible."""
        if self._head is None:
            raise RuntimeError("There is no head to begin the answer with.")
        status, headers = self._head
        self.response_started = True
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]  # an engine may have one of its own
        length: bytes | None = None
        for header in (*headers, *self.extra_headers):
            parts.append(b"%b: %b\r\n" % header)
            if header[0] == b"content-length":
                length = header[1]
        if length is not None:
            self._unsent = int(length)
        elif self._is_http_1_0:
            self._ends_with_connection = True
        else:
            self._is_chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

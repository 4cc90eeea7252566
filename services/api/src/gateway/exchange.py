"""One request and its answer on their way through the gateway. What ASGI looks like is known here and nowhere above.

`Exchange` stands on ASGI's `scope`, `receive` and `send`. The relay speaks to its methods only, so that a cycle of the
server's own can take its place for the relayed paths.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from gateway.coding import Body, too_large
from gateway.deadline import RequestDeadline
from gateway.dialects.base import Dialect
from gateway.errors import (
    ClientDisconnected,
    GatewayError,
    MethodNotAllowed,
    ShuttingDown,
    Unauthorized,
    UnsupportedCoding,
)
from gateway.telemetry.observation import RequestObservation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

# The ASGI extension by which a server lets its application cut the connection, by its callable `abort`.
ABORT_EXTENSION = "glasshouse.abort"
# The type of a scope for what is not a request that an application could serve. Its `error` is the answer.
REFUSED = "glasshouse.refused"
_ERROR_SEND_TIMEOUT_S = 5.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Exchange:
    """One request and its answer.

    Args:
        scope: ASGI's.
        receive: ASGI's.
        send: ASGI's.
        observation: Where the request is observed.
        dialect: Whose errors the client understands.

    Attributes:
        method: The request's method.
        observation: As given; `write_head` and `fail` keep its status true.
        dialect: As given.
        deadline: What may cut the request short. Set by whoever serves it with one.
        request_id_header: Goes with the engine's request and with every answer.
        extra_headers: Headers of every answer to this request: its id, and what lets a page of another site read it.
    """

    __slots__ = (
        "_headers",
        "_receive",
        "_scope",
        "_send",
        "deadline",
        "dialect",
        "extra_headers",
        "method",
        "observation",
        "request_id_header",
    )

    deadline: RequestDeadline

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, observation: RequestObservation, dialect: Dialect
    ) -> None:
        self._scope = scope
        self._headers: Sequence[Header] = scope["headers"]
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.observation = observation
        self.dialect = dialect
        self.request_id_header: Header = (b"x-request-id", observation.request_id.encode())
        self.extra_headers: list[Header] = [self.request_id_header]

    # The request

    def header(self, name: bytes) -> bytes | None:
        """A request header's value; `name` in lower case. None when it is not there."""
        for key, value in self._headers:
            if key == name:
                return bytes(value)
        return None

    async def read_body(self, limit: int, progress: Callable[[int], object] = lambda _: None) -> bytes:
        """The request's whole body, without its content coding.

        Args:
            limit: Maximum size in bytes, both encoded and decoded.
            progress: Called whenever more of it has arrived, with the number of bytes held.

        Raises:
            BodyTooLarge: It is, or says that it is, longer than `limit` bytes.
            ClientDisconnected: The client left before its end.
            InvalidRequest: It is not what its coding says, or its framing is not HTTP.
            UnsupportedCoding: Its coding is not supported.
        """
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            raise too_large(limit)
        codings = [value for name, value in self._headers if name == b"content-encoding"]
        body = Body(limit, b",".join(codings))
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected("The client closed the connection while it sent its request.")
            if piece := message.get("body", b""):
                await body.add(piece)
                progress(body.size)
            if not message.get("more_body", False):
                return body.end()

    async def wait_for_disconnect(self) -> None:
        """Returns when the client has closed its connection. Only after the whole body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    # The answer

    def write_head(self, status: int, headers: Sequence[Header]) -> Awaitable[None]:
        """Sends the answer's status and headers."""
        self.observation.status = status
        return self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self.extra_headers]})

    def write(self, data: bytes) -> Awaitable[None]:
        """Sends a piece of the answer's body. Waits while too much of what was sent before is unread."""
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    def end(self, data: bytes = b"") -> Awaitable[None]:
        """Sends the last piece of the answer's body."""
        return self._send({"type": "http.response.body", "body": data})

    async def abort(self) -> None:
        """Cuts the connection of a client that has gone or does not read, with whatever it has left unread.

        Needs a server that offers `ABORT_EXTENSION` (see `gateway.server.scope`): ASGI itself has no word for it.
        """
        extension = self._scope.get("extensions", {}).get(ABORT_EXTENSION)
        if extension is not None:
            extension["abort"]()
            await self.wait_for_disconnect()

    def plain_headers(self, length: int | None) -> list[Header]:
        """The headers of an answer that is not a stream; `length` is that of its body, None where it is unknown."""
        headers = list(self.dialect.plain_headers)
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        cost = self.observation.cost
        if cost is not None:
            headers.append((b"x-cost-usd", b"%.12f" % cost))  # without an exponent, as small as it may be
        return headers

    async def fail(self, error: GatewayError) -> None:
        """Ends a request that failed: with an answer before the first byte, with an error event after it.

        After the first byte of a plain answer there is no room for an error: all that can end is its connection.
        """
        observation = self.observation
        if isinstance(error, ClientDisconnected) or (observation.status is not None and not observation.stream):
            await self.abort()
            return
        try:
            async with asyncio.timeout(_ERROR_SEND_TIMEOUT_S):
                if observation.status is None:
                    body = self.dialect.error_body(error)
                    await self.write_head(error.http_status, [*self.plain_headers(len(body)), *_error_headers(error)])
                    await self.end(body)
                else:
                    await self.end(self.dialect.error_event(error))
        except TimeoutError:
            await self.abort()

    async def cancellation_reason(self) -> GatewayError:
        """Why the task that serves the request was cancelled: the client has gone, or else the worker stops."""
        try:
            async with asyncio.timeout(0):
                await self.wait_for_disconnect()
        except TimeoutError:
            return ShuttingDown("The gateway is shutting down. Please try again.", retry_after=1)
        return ClientDisconnected("The client closed the connection.")

    # Other ASGI applications

    async def delegate(self, app: App) -> None:
        """Has an ASGI application answer, which finds this exchange by `exchange_of`.

        The status and the route that it chooses are observed, and its answer gets the headers of every answer. HEAD
        works wherever GET does: the server, which knows of the HEAD, leaves the body out.
        """
        scope, observation = self._scope, self.observation
        scope.setdefault("state", {})["exchange"] = self
        if self.method == "HEAD":
            scope = {**scope, "method": "GET"}

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                observation.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self.extra_headers]
            await self._send(message)

        try:
            await app(scope, self._receive, observed)
        finally:
            if (route := scope.get("route")) is not None:
                observation.route = route.path


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that a request of a delegate belongs to."""
    exchange: Exchange = scope["state"]["exchange"]
    return exchange


def request_id(scope: Scope) -> str:
    """The client's own `x-request-id` if it is safe to repeat, else a new one of 128 random bits."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
            break
    return secrets.token_hex(16)


def _error_headers(error: GatewayError) -> list[Header]:
    """The headers that belong to an error."""
    headers: list[Header] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    elif isinstance(error, UnsupportedCoding):
        headers.append((b"accept-encoding", error.accepted.encode()))
    return headers

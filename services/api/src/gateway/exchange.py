"""One request and its answer, as whoever serves it sees them.

Where the request comes from and how the answer gets to the client is behind this interface: relayed requests are served
on the connection itself (`gateway.server.relayed`), all others by way of ASGI (`gateway.asgi_exchange`).
"""

import asyncio
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

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

Header = tuple[bytes, bytes]

_ERROR_SEND_TIMEOUT_S = 5.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_ID_BYTES = 16


def _random_ids() -> Iterator[str]:
    """Ids of 128 random bits. The system is asked for many at a time, since each call takes a microsecond.

    Begun by the first request of a worker: none is left over from before it was forked off.
    """
    while True:
        digits = os.urandom(256 * _ID_BYTES).hex()
        for start in range(0, len(digits), 2 * _ID_BYTES):
            yield digits[start : start + 2 * _ID_BYTES]


_new_ids = _random_ids()


class Exchange(ABC):
    """One request and its answer.

    Attributes:
        method: The request's method.
        observation: Where the request is observed; `write_head` and `fail` keep its status true.
        dialect: Whose errors the client understands.
        deadline: What may cut the request short. Set by whoever serves it with one.
        request_id_header: Goes with the engine's request and with every answer.
        extra_headers: Headers of every answer to this request: its id, and what lets a page of another site read it.
    """

    __slots__ = (
        "_headers",
        "_values",
        "deadline",
        "dialect",
        "extra_headers",
        "method",
        "observation",
        "request_id_header",
    )

    deadline: RequestDeadline
    observation: RequestObservation
    dialect: Dialect
    request_id_header: Header
    extra_headers: list[Header]

    def __init__(self, method: str, headers: Sequence[Header]) -> None:
        self.method = method
        self._headers = headers
        self._values = dict(reversed(headers))  # of headers with the same name, the first

    def begin(self, observation: RequestObservation, dialect: Dialect) -> None:
        """The exchange is about to be served."""
        self.observation = observation
        self.dialect = dialect
        self.request_id_header = (b"x-request-id", observation.request_id.encode())
        self.extra_headers = [self.request_id_header]

    # The request

    def header(self, name: bytes) -> bytes | None:
        """A request header's value; `name` in lower case. None when it is not there."""
        return self._values.get(name)

    def request_id(self) -> str:
        """The client's own `x-request-id` if it is safe to repeat, else a new one of 128 random bits."""
        value = self._values.get(b"x-request-id")
        if value is not None and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
        return next(_new_ids)

    @abstractmethod
    def whole_body(self, limit: int) -> bytes | None:
        """The request's body, if all of it has arrived and it has no content coding; else None.

        Args:
            limit: Maximum size in bytes.

        Raises:
            BodyTooLarge: It is longer.
        """

    @abstractmethod
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

    @abstractmethod
    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Has this called, once, when the client closes its connection; at once if it has. None: nothing is called."""

    @abstractmethod
    async def has_left(self) -> bool:
        """Whether the client has closed its connection, or its side of it."""

    # The answer

    @abstractmethod
    async def write_head(self, status: int, headers: Sequence[Header]) -> None:
        """Sends the answer's status and headers, at the latest with what is written next."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Sends a piece of the answer's body. Waits while too much of what was sent before is unread."""

    @abstractmethod
    async def end(self, data: bytes = b"") -> None:
        """Sends the last piece of the answer's body."""

    @abstractmethod
    async def abort(self) -> None:
        """Cuts the connection of a client that has gone or does not read, with whatever it has left unread."""

    @abstractmethod
    def close(self) -> None:
        """Whoever served the request is done: an answer that is not complete never will be."""

    def plain_headers(self, length: int | None) -> list[Header]:
        """The headers of an answer that is not a stream; `length` is that of its body, None where it is unknown."""
        headers = list(self.dialect.plain_headers)
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
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
        if await self.has_left():
            return ClientDisconnected("The client closed the connection.")
        return ShuttingDown("The gateway is shutting down. Please try again.", retry_after=1)


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

"""An exchange by way of ASGI: for requests that another ASGI application answers, and for what cannot be served."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from gateway.exchange import Exchange, Header

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The ASGI extension by which a server lets its application cut the connection, by its callable `abort`.
ABORT_EXTENSION = "glasshouse.abort"
# The type of a scope for what is not a request that an application could serve. Its `error` is the answer.
REFUSED = "glasshouse.refused"


class AsgiExchange(Exchange):
    """An exchange on ASGI's `scope`, `receive` and `send`. Its request's body is read by the application that answers.

    Args:
        scope: ASGI's.
        receive: ASGI's.
        send: ASGI's.
    """

    __slots__ = ("_receive", "_scope", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope["method"], scope["headers"])
        self._scope = scope
        self._receive = receive
        self._send = send

    def whole_body(self, limit: int) -> bytes | None:
        """Not for such a request."""
        raise NotImplementedError

    async def read_body(self, limit: int, progress: Callable[[int], object] = lambda _: None) -> bytes:
        """Not for such a request."""
        raise NotImplementedError

    def on_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Not for such a request."""
        raise NotImplementedError

    async def has_left(self) -> bool:
        """See `Exchange`."""
        try:
            async with asyncio.timeout(0):
                await self._wait_for_disconnect()
        except TimeoutError:
            return False
        return True

    async def write_head(self, status: int, headers: Sequence[Header]) -> None:
        """See `Exchange`."""
        self.observation.status = status
        head = [*headers, *self.extra_headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})

    async def write(self, data: bytes) -> None:
        """See `Exchange`."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """See `Exchange`."""
        await self._send({"type": "http.response.body", "body": data})

    async def abort(self) -> None:
        """See `Exchange`. Needs a server that offers `ABORT_EXTENSION`: ASGI itself has no word for it."""
        extension = self._scope.get("extensions", {}).get(ABORT_EXTENSION)
        if extension is not None:
            extension["abort"]()
            await self._wait_for_disconnect()

    def close(self) -> None:
        """Does nothing: the server itself sees to an answer that is not complete."""

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

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that a request of a delegate belongs to."""
    exchange: Exchange = scope["state"]["exchange"]
    return exchange

"""What a connection needs of the server that it belongs to."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from gateway.asgi_exchange import Receive, Scope, Send
from gateway.dialects.base import Endpoint
from gateway.exchange import Exchange
from gateway.server.limits import Limits


class Application(Protocol):
    """What serves the requests: an ASGI application that relays some of them without ASGI.

    Attributes:
        relayed: The relayed paths, as they are in a request's target.
    """

    relayed: Mapping[bytes, Endpoint]

    def relay(self, exchange: Exchange, endpoint: Endpoint) -> Coroutine[Any, Any, None]:
        """Serves a request to a relayed path, to its end."""
        ...

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """See the ASGI specification."""
        ...


class ConnectionOwner(Protocol):
    """A server as its connections see it.

    Attributes:
        limits: How many connections it accepts, and how long each phase may take.
        stopping: Whether each answer announces the end of its connection.
        connections: All connections.
    """

    limits: Limits
    stopping: bool

    @property
    def app(self) -> Application:
        """The application that serves the requests."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """The state that the application's lifespan provides."""
        ...

    @property
    def connections(self) -> set[Any]:
        """All connections, which remove themselves when they end."""
        ...

    def register(self, connection: asyncio.Protocol) -> bool:
        """Adds a connection; False if it exceeds the limit."""
        ...

    def has_room(self) -> bool:
        """Whether the number of connections is within the limit."""
        ...

    def run_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine as a task that ends, or is cancelled, before the server has stopped."""
        ...

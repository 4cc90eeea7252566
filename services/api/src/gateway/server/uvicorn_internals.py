"""All of uvicorn's undocumented parts that are relied on: its request cycle, and how its server starts and stops.

A test names each of them, so that a new version of uvicorn that changes one fails it.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, cast

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import Server

from gateway.asgi_exchange import Scope
from gateway.errors import GatewayError
from gateway.server.owner import Application

__all__ = ["CONTINUE", "HIGH_WATER_LIMIT", "BaseServer", "Cycle", "FlowControl", "Output"]

_LOGGER = logging.getLogger("uvicorn.error")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Output:
    """The transport as a cycle sees it; when to close it is the connection's decision.

    Args:
        transport: Where to write.
        close: Called in place of the transport's.
    """

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Cycle(RequestResponseCycle):
    """One request and its answer.

    Args:
        scope: ASGI's.
        output: Where the answer goes.
        flow: Pauses and resumes the connection.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body.
        keep_alive: Whether another request may follow on the connection.
        ended: Called when the answer is complete.

    Attributes:
        half_closed: The client has closed its side; a complete request can still be answered.
        failure: Why the request's body will never be complete; `receive` raises it.
    """

    def __init__(
        self,
        scope: Scope,
        output: Output,
        flow: FlowControl,
        *,
        expects_continue: bool,
        keep_alive: bool,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(
            scope=cast(Any, scope),
            transport=cast(Any, output),
            flow=flow,
            logger=_LOGGER,
            access_logger=_LOGGER,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=keep_alive,
            on_response=ended,
        )
        self.half_closed = False
        self.failure: GatewayError | None = None
        self._delivered = False

    async def receive(self) -> Any:
        """ASGI's `receive`. A complete request behind which the client has closed its side is `http.disconnect` next.

        Raises:
            GatewayError: The rest of the body is not HTTP.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(CONTINUE)
            self.waiting_for_100_continue = False
        while not self.disconnected and not self.response_complete:
            if self.body or not (self.more_body or self._delivered):
                body, self.body = bytes(self.body), bytearray()
                self._delivered = not self.more_body
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self.failure is not None:
                raise self.failure
            if self.half_closed:
                break
            self.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    def add(self, piece: bytes) -> None:
        """Adds a piece of the request's body; pauses a client that is faster than the application."""
        self.body += piece
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.message_event.set()

    def complete(self) -> None:
        """The request's body is complete."""
        self.more_body = False
        self.message_event.set()

    def fail_body(self, error: GatewayError) -> None:
        """The request's body will never be complete."""
        self.failure = error
        self.keep_alive = False
        self.message_event.set()

    def half_close(self) -> None:
        """The client has closed its side."""
        self.half_closed = True
        self.message_event.set()

    def disconnect(self) -> None:
        """The connection is gone."""
        if not self.response_complete:
            self.disconnected = True
        self.message_event.set()

    def run(self, app: Application) -> Coroutine[Any, Any, None]:
        """Runs the application for this request."""
        return self.run_asgi(cast(Any, app))


class BaseServer(Server):
    """uvicorn's server on given listening sockets, from which it can stop accepting for a while."""

    def __init__(self, config: Config, make: Callable[[], asyncio.Protocol]) -> None:
        super().__init__(config)
        self.servers: list[asyncio.Server] = []
        self._make = make
        self._listeners: list[socket.socket] = []

    @cached_property
    def app(self) -> Application:
        """The application."""
        return cast(Application, self.config.loaded_app)

    @property
    def state(self) -> dict[str, Any]:
        """The state that the application's lifespan provides."""
        return cast(dict[str, Any], self.lifespan.state)

    @property
    def connections(self) -> set[Any]:
        """All connections; uvicorn waits for them when it stops."""
        return self.server_state.connections

    def run_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine as a task that uvicorn waits for when it stops, and cancels when the grace period ends."""
        tasks = self.server_state.tasks
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self._listeners = sockets or []
        await self.listen()
        self.started = True

    async def listen(self) -> None:
        """Starts, or resumes, accepting connections."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            own = listener.dup()  # closing uvloop's server closes its descriptor
            try:
                server = await loop.create_server(self._make, sock=own, backlog=self.config.backlog)
            except BaseException:
                own.close()
                self.pause_listening()
                raise
            self.servers.append(server)

    def pause_listening(self) -> None:
        """Stops accepting connections until `listen`; new ones wait in the kernel's queue."""
        for server in self.servers:
            server.close()
        self.servers.clear()

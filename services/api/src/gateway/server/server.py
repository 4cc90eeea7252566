"""One worker's server: how many connections it accepts, when it ends a slow one, and how it stops."""

import asyncio
import contextlib
import socket

from loguru import logger
from uvicorn.config import Config

from gateway.server.connection import Connection
from gateway.server.descriptors import free_descriptors
from gateway.server.limits import Limits
from gateway.server.uvicorn_internals import BaseServer

# How late an expired deadline may be noticed. One timer for all connections is cheaper than one for each.
_TICK_S = 0.25


class Server(BaseServer):
    """uvicorn's server with our own connections.

    Args:
        config: uvicorn's.
        limits: As configured; fewer connections are accepted if descriptors are short.

    Attributes:
        stopping: Whether each answer announces the end of its connection.
    """

    def __init__(self, config: Config, limits: Limits) -> None:
        super().__init__(config, lambda: Connection(self))
        self.limits = limits
        self.stopping = False
        self._is_full = False
        self._ticker: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        configured = self.limits
        free = free_descriptors()
        self.limits = configured.fit(free)
        if self.limits.connections < configured.connections:
            logger.warning(
                "MAX_CONNECTIONS={} needs {} more descriptors and {} can be opened (ulimit -n): taking {} connections",
                *(configured.connections, configured.descriptors_needed, free, self.limits.connections),
            )
        await super().startup(sockets)
        self._ticker = asyncio.create_task(self._tick())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops without losing a request that a client may still send in good faith.

        Each connection stays until an answer has said `connection: close`, or it has been idle for a moment since its
        last answer; uvicorn would close all idle ones at once, even those with an unread request in the socket.
        """
        self.stopping = True
        try:
            await super().shutdown(sockets)
        finally:
            if self._ticker is not None:
                self._ticker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._ticker

    def has_room(self) -> bool:
        """Whether the number of connections is within the limit."""
        return len(self.connections) <= self.limits.connections

    def register(self, connection: asyncio.Protocol) -> bool:
        """Adds a connection; False if it exceeds the limit."""
        self.connections.add(connection)
        count = len(self.connections)
        if count >= self.limits.connections + self.limits.spare and not self._is_full:
            self._is_full = True
            self.pause_listening()
            logger.warning("{} connections are open (MAX_CONNECTIONS): further ones wait", count)
        return self.has_room()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            for connection in [each for each in self.connections if each.deadline <= now]:
                try:
                    connection.expire(now)
                except Exception:  # noqa: BLE001 - the failure of one must not end the supervision of the others
                    logger.exception("a connection could not be closed")
            if self._is_full and not self.stopping and len(self.connections) < self.limits.connections:
                with contextlib.suppress(OSError):  # no descriptor is free yet: retried at the next tick
                    await self.listen()
                    self._is_full = False

"""One worker's server: how many connections it takes, when it ends one that is slow, and how it stops."""

import asyncio
import contextlib
import socket

from loguru import logger
from uvicorn.config import Config

from gateway.server.connection import Connection
from gateway.server.descriptors import free_descriptors
from gateway.server.limits import Limits
from gateway.server.uvicorn_internals import BaseServer

# How late a deadline may be noticed. One timer for all connections costs less than one for each.
_TICK_S = 0.25


class Server(BaseServer):
    """uvicorn's server with connections of our own.

    Args:
        config: uvicorn's.
        limits: As wished for; there are fewer connections where descriptors are short.

    Attributes:
        stopping: Whether each answer says that it is its connection's last.
    """

    def __init__(self, config: Config, limits: Limits) -> None:
        super().__init__(config, lambda: Connection(self))
        self.limits = limits
        self.stopping = False
        self._full = False
        self._ticking: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        wished = self.limits
        free = free_descriptors()
        self.limits = wished.within(free)
        if self.limits.connections < wished.connections:
            logger.warning(
                "MAX_CONNECTIONS={} needs {} more descriptors and {} can be opened (ulimit -n): taking {} connections",
                *(wished.connections, wished.needs, free, self.limits.connections),
            )
        await super().startup(sockets)
        self._ticking = asyncio.create_task(self._tick())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops, without losing a request that a client may still send in good faith.

        Each connection stays until it has been told `connection: close`, or has been idle for a moment since its last
        answer; uvicorn would close all that are idle at once, those included whose request lies unread in the socket.
        """
        self.stopping = True
        try:
            await super().shutdown(sockets)
        finally:
            if self._ticking is not None:
                self._ticking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._ticking

    def has_room(self) -> bool:
        """Whether no more connections are open than are served."""
        return len(self.connections) <= self.limits.connections

    def made(self, connection: Connection) -> bool:
        """There is one connection more; False when it is one too many."""
        self.connections.add(connection)
        count = len(self.connections)
        if count >= self.limits.connections + self.limits.spare and not self._full:
            self._full = True
            self.pause_listening()
            logger.warning("{} connections are open (MAX_CONNECTIONS): further ones wait", count)
        return self.has_room()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            for connection in [one for one in self.connections if one.deadline <= now]:
                try:
                    connection.expire(now)
                except Exception:  # noqa: BLE001 - one connection's fault must not end the watch over all others
                    logger.exception("a connection could not be ended")
            if self._full and not self.stopping and len(self.connections) < self.limits.connections:
                with contextlib.suppress(OSError):  # no descriptor is free yet: the next tick tries again
                    await self.listen()
                    self._full = False

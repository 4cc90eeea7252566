"""The mock engine's server."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from mock_engine.behaviour import Behaviour
from mock_engine.connection import Connection
from mock_engine.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

QUEUE_FILLERS = 2  # connections that fill a backlog of zero: Linux accepts one all the same
BACKLOG = 1024  # connections that may wait: a burst of a few hundred must not be refused


@dataclass(slots=True)
class MockEngine:
    """A mock engine on a port of this machine; `async with` runs it in a test's own event loop.

    Args:
        models: their names.
        owned_by: `vllm` or `llamacpp`.
        key: for `/v1`, if any.
        host: to listen on.
        port: 0 takes a free one, which `port` then names.
    """

    models: Sequence[str] = ("mock",)
    owned_by: str = "vllm"
    key: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    stats: Stats = field(default_factory=Stats)
    behaviour: Behaviour = field(init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _live: set[Connection] = field(default_factory=set, init=False)
    _unaccepted: list[socket.socket] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.behaviour = Behaviour(models=list(self.models), owned_by=self.owned_by)

    @property
    def url(self) -> str:
        """The address to give to a gateway, without a path."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.behaviour, self.stats, self.key, self._live),
            self.host,
            self.port,
            backlog=BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._abort_connections()
        for blocker in self._unaccepted:
            blocker.close()

    def stop_accepting(self) -> None:
        """Accept no more connections while the port stays open: a client that connects waits forever.

        The listener stays, nothing accepts from it, and connections of our own fill its backlog; the kernel drops the
        first packet of all further ones.
        """
        if self._server is None or self._unaccepted:
            return
        listener = socket.socket(fileno=os.dup(self._server.sockets[0].fileno()))
        self._server.close()
        self._abort_connections()
        listener.listen(0)
        self._unaccepted = [listener, *(socket.socket() for _ in range(QUEUE_FILLERS))]
        for filler in self._unaccepted[1:]:
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))

    def _abort_connections(self) -> None:
        for connection in list(self._live):
            connection.abort()

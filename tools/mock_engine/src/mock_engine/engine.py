"""The mock engine's server."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from mock_engine.behaviour import Behaviour
from mock_engine.connection import Connection
from mock_engine.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

QUEUED = 2  # connections that fill a queue of none: Linux lets one in
BACKLOG = 1024  # connections that may wait: a burst of a few hundred must not be refused


@dataclass(slots=True)
class MockEngine:
    """A mock engine on a port of this machine; usable in a test's own loop with `async with`.

    Args:
        models: the names that it serves.
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
    truth: Truth = field(default_factory=Truth)
    behaviour: Behaviour = field(init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _live: set[Connection] = field(default_factory=set, init=False)
    _deaf: list[socket.socket] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.behaviour = Behaviour(models=list(self.models), owned_by=self.owned_by)

    @property
    def url(self) -> str:
        """The address to give to a gateway, without a path."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.behaviour, self.truth, self.key, self._live),
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
        self._hang_up()
        for kept in self._deaf:
            kept.close()

    def deafen(self) -> None:
        """From now on take no connection, with the port still open: who connects waits for ever.

        The listener stays, nobody accepts from it, and one connection of our own fills its queue; the kernel drops
        the first packet of all further ones.
        """
        if self._server is None or self._deaf:
            return
        listener = socket.socket(fileno=os.dup(self._server.sockets[0].fileno()))
        self._server.close()
        self._hang_up()
        listener.listen(0)
        self._deaf = [listener, *(socket.socket() for _ in range(QUEUED))]
        for filler in self._deaf[1:]:
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))

    def _hang_up(self) -> None:
        for connection in list(self._live):
            connection.abort()

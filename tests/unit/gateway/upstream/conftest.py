"""The engine's client is tested on both event loops: asyncio's own, and uvloop, which is what runs in production."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.wire import Wire, listening

from gateway.upstream import EngineKey, Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[[Wire], Awaitable[None]]


class Client:
    """An upstream to a script, and the server's ends of its connections."""

    def __init__(self, upstream: Upstream, wires: list[Wire]) -> None:
        self.upstream, self.wires = upstream, wires


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """`await client(script)` gives an upstream to a server that does as the script says on each connection."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, *, key: EngineKey | None = None) -> Client:
            port, wires = await stack.enter_async_context(listening(script))
            upstream = Upstream("e", f"http://127.0.0.1:{port}", key=key, connect_timeout=5)
            return Client(await stack.enter_async_context(upstream), wires)

        yield start

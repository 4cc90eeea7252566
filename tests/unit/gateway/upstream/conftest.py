"""The engine's client is tested on both event loops: asyncio's own, and uvloop, which is what runs in production."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.unit.gateway.harness.wire import Wire

from gateway.upstream import Upstream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[[Wire], Awaitable[None]]


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[tuple[int, list[Wire]]]:
    import asyncio  # noqa: PLC0415 - named above for types only

    wires: list[Wire] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(wire: Wire) -> None:
        try:
            await script(wire)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            wire.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wires.append(Wire(reader, writer))
        task = asyncio.create_task(serve(wires[-1]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], wires
    finally:
        server.close()
        for wire in wires:
            wire.writer.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round


class Client:
    """An upstream to a script, and the server's ends of its connections."""

    def __init__(self, upstream: Upstream, wires: list[Wire]) -> None:
        self.upstream, self.wires = upstream, wires


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """`await client(script)` gives an upstream to a server that does as the script says on each connection."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, *, key: str | None = None) -> Client:
            port, wires = await stack.enter_async_context(listening(script))
            upstream = Upstream("e", f"http://127.0.0.1:{port}", key=key, connect_timeout=0.3)
            return Client(await stack.enter_async_context(upstream), wires)

        yield start

"""An engine that sends nonsense: nobody waits for ever, and every end is one of ours."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from tests.support.in_process.wire import Wire, chunk, plain

from gateway.errors import EngineBadResponse, EngineError, EngineReset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Start = Callable[..., Awaitable[Any]]

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_waiting_readers_learn_of_every_end(client: Start) -> None:
    """Whatever an engine does, nobody waits for ever: seeded nonsense ends in an answer or in one of our errors."""
    rng = random.Random(11)  # noqa: S311 - the same nonsense in every run
    pieces = [HEAD, chunk(b"a"), chunk(b""), plain(b"b"), b"\r\n", b"HTTP/1.1 200 OK\r\n", b"\x00", b"5\r\n", b"zz"]
    plan = [[rng.choice(pieces) for _ in range(rng.randint(0, 5))] for _ in range(80)]
    turn = iter(plan)

    async def script(wire: Wire) -> None:
        await wire.message()
        for piece in next(turn):
            await wire.send(piece)
        rng.choice((wire.close, wire.reset))()

    engine = await client(script)
    results = set()
    for _ in plan:
        try:
            async with asyncio.timeout(3):
                results.add(type(await engine.upstream.fetch(b"GET", b"/", limit=1000)))
        except EngineError as error:
            results.add(type(error))
    assert {tuple, EngineReset, EngineBadResponse} <= results

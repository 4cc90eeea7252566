"""The collector has nothing to do: neither a request nor a connection leaves a cycle of references behind."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import Gateway, chat
from tests.support.in_process.wire import dial, post

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = 50


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def garbage() -> list[str]:
    """The types of the gateway's own objects that only the collector would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        kinds = [type(found) for found in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return [kind.__qualname__ for kind in kinds if kind.__module__.startswith("gateway.")]


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("stream", [False, True])
async def test_requests_leave_no_garbage(gateway: Gateway, *, stream: bool) -> None:
    for _ in range(REQUESTS):
        await gateway.chat(stream=stream)
    assert garbage() == []


@pytest.mark.usefixtures("_no_collector")
async def test_connections_leave_no_garbage(gateway: Gateway) -> None:
    for _ in range(REQUESTS):
        async with dial(gateway.port) as client:
            await client.send(post(json.dumps(chat()).encode()))
            await client.message()
    await asyncio.sleep(0.1)
    assert garbage() == []

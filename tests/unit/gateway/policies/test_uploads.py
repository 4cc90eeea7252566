"""Bodies that are on their way: those of strangers are not waited for, and all others together have a bound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import CHAT, KEY, Gateway, chat, until
from tests.support.in_process.wire import Wire, dial, post

from gateway.coding import Body
from gateway.errors import TooManyUploads
from gateway.policies.uploads import SMALL, Upload, Uploads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

LARGEST = 100_000
AT_ONCE = 16


def begun(*, key: str = KEY, length: int = LARGEST, sent: bytes = b"", coding: str = "identity") -> bytes:
    """The beginning of a request with a body of `length` bytes."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-encoding: {coding}\r\n"
    return f"{head}content-length: {length}\r\n\r\n".encode() + sent


async def code(wire: Wire) -> str:
    body = json.loads(await wire.message())
    return f"{wire.head.split(b' ')[1].decode()} {body['error']['code']}"


def held(gateway: Gateway) -> int:
    return gateway.app._relay._uploads.held


async def test_a_stranger_is_told_at_once_and_nothing_of_the_body_is_kept(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    async with dial(gateway.port) as wire:
        await wire.send(begun(key="wrong", sent=b"a" * 80_000))
        assert await code(wire) == "401 invalid_api_key"
        assert held(gateway) == 0


async def test_large_bodies_that_never_end_leave_room_for_others_and_for_every_small_one(
    serve: Serve, alpha: Mock
) -> None:
    gateway = await serve(alpha, max_body_bytes=LARGEST, idle_timeout=60, total_timeout=60)
    async with contextlib.AsyncExitStack() as open_ones:
        for _ in range(AT_ONCE):
            wire = await open_ones.enter_async_context(dial(gateway.port))
            await wire.send(begun(sent=b"a" * (LARGEST - 1)))
        await until(lambda: held(gateway) == AT_ONCE * (LARGEST - 1))
        async with dial(gateway.port) as one_more:
            await one_more.send(begun(sent=b"a" * (SMALL + 1)))
            assert await code(one_more) == "503 too_many_uploads"
            assert b"\r\nretry-after: 1\r\n" in one_more.head
        async with dial(gateway.port) as small:
            await small.send(post(chat(user="a" * 50_000)))
            assert json.loads(await small.message())["choices"]
    await until(lambda: held(gateway) == 0)  # they have gone
    async with dial(gateway.port) as large:
        await large.send(post(chat(user="a" * 90_000)))
        assert json.loads(await large.message())["choices"]
    assert held(gateway) == 0


async def test_what_a_coded_body_unfolds_to_is_what_counts(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=LARGEST, idle_timeout=60, total_timeout=60)
    packer = zlib.compressobj()
    coded = packer.compress(b"a" * 90_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(coded) < 1000
    async with dial(gateway.port) as wire:
        await wire.send(begun(sent=coded, coding="deflate", length=len(coded) + 10))
        await until(lambda: held(gateway) == 90_000)
    await until(lambda: held(gateway) == 0)


async def test_a_body_that_stops_is_408_and_gives_its_room_back(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=LARGEST, idle_timeout=0.3)
    async with dial(gateway.port) as wire:
        await wire.send(begun(sent=b"a" * 90_000))
        assert await code(wire) == "408 request_timeout"
    assert held(gateway) == 0


async def test_a_body_that_trickles_ends_with_the_time_that_a_request_may_take(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=LARGEST, idle_timeout=60, total_timeout=1)
    async with dial(gateway.port) as wire:
        await wire.send(begun())

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await wire.send(b"a")
                    await asyncio.sleep(0.05)

        sending = asyncio.create_task(trickle())
        try:
            assert (await code(wire)).startswith("504 ")
        finally:
            sending.cancel()


async def test_a_body_in_pieces_of_one_byte_takes_no_more_memory_than_in_one() -> None:
    tracemalloc.start()
    body = Body(200_000)
    for _ in range(200_000):
        await body.add(b"a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.size == 200_000
    assert peak < 400_000


def test_an_upload_that_was_refused_counts_as_it_was() -> None:
    uploads = Uploads(3 * SMALL)
    with Upload(uploads) as first, Upload(uploads) as second:
        first.grow(SMALL)
        assert uploads.held == 0
        first.grow(2 * SMALL)
        second.grow(SMALL)
        with pytest.raises(TooManyUploads, match=f"bodies of {2 * SMALL} bytes"):
            second.grow(SMALL + SMALL // 2 + SMALL)
        assert uploads.held == 2 * SMALL
    assert uploads.held == 0

"""Answers read from real sockets, byte by exact byte."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.keys import NEW, engine_key
from tests.support.in_process.wire import Wire, chunk, plain

from gateway.errors import EngineBadResponse, EngineReset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Start = Callable[..., Awaitable[Any]]

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWERS: dict[str, tuple[bytes, int, bytes]] = {
    "content-length": (plain(b'{"a":"\xea\xb0\x80"}'), 200, b'{"a":"\xea\xb0\x80"}'),
    "chunked": (HEAD + chunk(b"ab") + chunk(b"\xea") + chunk(b"\xb0\x80") + chunk(b""), 200, b"ab\xea\xb0\x80"),
    "chunk extensions": (HEAD + b"2;x=1\r\nab\r\n0\r\n\r\n", 200, b"ab"),
    "trailers": (HEAD + b"2\r\nab\r\n0\r\nx: y\r\n\r\n", 200, b"ab"),
    "empty": (plain(b""), 200, b""),
    "an error": (plain(b"no", status="503 Service Unavailable"), 503, b"no"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
}


def once(answer: bytes) -> Callable[[Wire], Awaitable[None]]:
    """A script that gives this answer to each request."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.message()
            await wire.send(answer)

    return script


def then(answer: bytes, how: str) -> Callable[[Wire], Awaitable[None]]:
    """A script that sends these bytes and then closes or resets."""

    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(answer)
        await asyncio.sleep(0.05)  # so that a reset does not overtake the bytes
        getattr(wire, how)()

    return script


@pytest.mark.parametrize("name", ANSWERS)
async def test_any_split_of_an_answer_reads_the_same(client: Start, name: str) -> None:
    answer, status, body = ANSWERS[name]
    rng = random.Random(7)  # noqa: S311 - the same splits in every run

    async def script(wire: Wire) -> None:
        while True:
            await wire.message()
            left = answer
            while left:
                size = rng.randint(1, 12)
                await wire.send(left[:size])
                left = left[size:]
                await asyncio.sleep(0)

    engine = await client(script)
    for _ in range(10):
        assert await engine.upstream.fetch(b"POST", b"/", b"{}", limit=100) == (status, body)
    assert len(engine.wires) == 1, "one connection serves them all"


async def test_byte_by_byte(client: Start) -> None:
    answer, status, body = ANSWERS["chunked"]

    async def script(wire: Wire) -> None:
        await wire.message()
        for byte in answer:
            await wire.send(bytes([byte]))
            await asyncio.sleep(0.001)

    engine = await client(script)
    assert await engine.upstream.fetch(b"GET", b"/", limit=100) == (status, body)


async def test_what_goes_out_is_exact(client: Start, tmp_path: Path) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(wire: Wire) -> None:
        while True:
            body = await wire.message()
            seen.append((wire.head, body))
            await wire.send(plain(b""))

    engine = await client(script, key=engine_key(tmp_path, NEW))
    await engine.upstream.fetch(b"GET", b"/health", limit=1)
    response = await engine.upstream.request(b"POST", b"/v1/x", b'{"a":1}', ((b"x-request-id", b"r1"),))
    await response.read(1)
    response.close()
    port = engine.wires[0].writer.get_extra_info("sockname")[1]
    host = b"host: 127.0.0.1:%d\r\nauthorization: Bearer %b\r\n" % (port, NEW.encode())
    assert seen == [
        (b"GET /health HTTP/1.1\r\n" + host + b"\r\n", b""),
        (
            b"POST /v1/x HTTP/1.1\r\n"
            + host
            + b"x-request-id: r1\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n",
            b'{"a":1}',
        ),
    ]


async def test_headers_are_in_lower_case(client: Start) -> None:
    engine = await client(once(b"HTTP/1.1 200 OK\r\nContent-TYPE: Text/Plain\r\ncontent-length: 0\r\n\r\n"))
    response = await engine.upstream.request(b"GET", b"/")
    assert response.headers[b"content-type"] == b"Text/Plain"
    response.close()


async def test_pieces_come_as_they_arrive(client: Start) -> None:
    step = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(HEAD)
        for piece in (b"one", b"two"):
            await step.wait()
            step.clear()
            await wire.send(chunk(piece))
        await wire.send(chunk(b""))

    engine = await client(script)
    response = await engine.upstream.request(b"GET", b"/")
    for piece in (b"one", b"two"):
        step.set()
        assert await response.chunk() == piece
    assert await response.chunk() == b""
    assert await response.chunk() == b""
    response.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", HEAD, HEAD + b"5\r\nab", plain(b"abcdef")[:-1]],
    ids=["nothing", "half a line", "half a head", "a head", "half a chunk", "one byte short"],
)
async def test_an_early_end_is_a_reset(client: Start, sent: bytes, how: str) -> None:
    engine = await client(then(sent, how))
    with pytest.raises(EngineReset):
        await engine.upstream.fetch(b"POST", b"/", b"{}", limit=100)
    assert len(engine.wires) == 1


async def test_a_body_without_a_length_ends_with_its_connection(client: Start) -> None:
    engine = await client(then(b"HTTP/1.1 200 OK\r\n\r\nabc", "close"))
    assert await engine.upstream.fetch(b"GET", b"/", limit=100) == (200, b"abc")


async def test_a_body_without_a_length_that_is_reset_is_not_whole(client: Start) -> None:
    engine = await client(then(b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"))
    with pytest.raises(EngineReset):
        await engine.upstream.fetch(b"GET", b"/", limit=100)


@pytest.mark.parametrize(
    "garbage",
    [b"hello\r\n\r\n", b"\x00\xff\x80" * 9, b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", HEAD + b"xyz\r\n"],
)
async def test_garbage_is_broken(client: Start, garbage: bytes) -> None:
    engine = await client(then(garbage, "close"))
    with pytest.raises(EngineBadResponse, match="does not speak HTTP"):
        await engine.upstream.fetch(b"GET", b"/", limit=100)
    assert not engine.upstream._idle


async def test_bytes_behind_an_answer_spoil_the_connection_and_not_the_next_answer(client: Start) -> None:
    engine = await client(once(plain(b"good") + plain(b"evil")))
    for _ in range(3):
        assert await engine.upstream.fetch(b"GET", b"/", limit=100) == (200, b"good")


async def test_an_answer_longer_than_the_limit_is_broken(client: Start) -> None:
    engine = await client(once(plain(b"x" * 100_000)))
    with pytest.raises(EngineBadResponse, match="longer than 1000 bytes"):
        await engine.upstream.fetch(b"GET", b"/", limit=1000)
    assert (await engine.upstream.fetch(b"GET", b"/", limit=100_000))[1] == b"x" * 100_000


async def test_a_reader_that_waits_holds_the_engine_back(client: Start) -> None:
    sent = 0

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.message()
        await wire.send(HEAD)
        piece = chunk(b"x" * 16_384)
        while True:
            await wire.send(piece)
            sent += 16_384

    engine = await client(script)
    response = await engine.upstream.request(b"GET", b"/")
    await asyncio.sleep(0.3)
    stopped_at = sent
    await asyncio.sleep(0.2)
    assert sent == stopped_at
    assert response._buffered < 1_000_000
    received = 0
    while received < 30_000_000:
        received += len(await response.chunk())
    assert sent > stopped_at
    response.close()


async def test_a_large_answer_that_nobody_read_does_not_block_the_next(client: Start) -> None:
    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(plain(b"x" * 100_000))
        await wire.message()
        await wire.send(plain(b"second"))

    engine = await client(script)
    first = await engine.upstream.request(b"GET", b"/")
    await asyncio.sleep(0.2)  # all of it has come
    first.close()
    async with asyncio.timeout(2):
        status, body = await engine.upstream.fetch(b"GET", b"/", limit=200_000)
    assert (status, body) in {(200, b"second"), (200, b"x" * 100_000)}


async def test_closing_early_cuts_the_connection_at_once(client: Start) -> None:
    gone = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(HEAD + chunk(b"a"))
        await wire.gone()
        gone.set()

    engine = await client(script)
    response = await engine.upstream.request(b"GET", b"/")
    assert await response.chunk() == b"a"
    response.close()
    await asyncio.wait_for(gone.wait(), 1)
    assert not engine.upstream._idle


@pytest.mark.parametrize("ends", [True, False])
async def test_lingering_waits_a_moment_for_the_end_of_the_body(client: Start, ends: bool) -> None:
    gone = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(HEAD + chunk(b"[DONE]"))
        if ends:
            await asyncio.sleep(0.1)
            await wire.send(chunk(b""))
            await wire.message()
            await wire.send(plain(b"again"))
        await wire.gone()
        gone.set()

    engine = await client(script)
    response = await engine.upstream.request(b"GET", b"/")
    assert await response.chunk() == b"[DONE]"
    response.close(linger=True)
    if ends:
        await asyncio.sleep(0.3)
        assert await engine.upstream.fetch(b"GET", b"/", limit=9) == (200, b"again")
        assert len(engine.wires) == 1
    else:
        await asyncio.wait_for(gone.wait(), 3)

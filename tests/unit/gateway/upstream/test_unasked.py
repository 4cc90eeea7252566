"""What an engine sends without having been asked: it is nobody's answer, and its connection is not used again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from tests.support.in_process.server import until
from tests.support.in_process.wire import Wire, chunk, plain

from gateway.errors import EngineBadResponse, EngineReset
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Start = Callable[..., Awaitable[Any]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\ncontent-length: 5\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


def numbered(before: bytes, pause_s: float = 0.05) -> Callable[[Wire], Awaitable[None]]:
    """A script that echoes each request, some time after these bytes."""

    async def script(wire: Wire) -> None:
        while True:
            body = await wire.message()
            await wire.send(before)
            await asyncio.sleep(pause_s)
            await wire.send(plain(body))

    return script


@pytest.mark.parametrize(
    "before", [CONTINUE, PROCESSING, EARLY_HINTS, CONTINUE + EARLY_HINTS + CONTINUE], ids=["100", "102", "103", "three"]
)
@pytest.mark.parametrize("pause_s", [0, 0.05])
async def test_an_interim_answer_is_never_the_answer(client: Start, before: bytes, pause_s: float) -> None:
    engine = await client(numbered(before, pause_s))
    for number in range(4):
        body = b"%d" % number
        assert await engine.upstream.fetch(b"POST", b"/", body, limit=9) == (200, body)
    assert len(engine.wires) == 1, "and its connection is as good as any"


async def test_an_interim_answers_headers_are_not_the_answers(client: Start) -> None:
    engine = await client(numbered(EARLY_HINTS))
    response = await engine.upstream.request(b"POST", b"/", b"x")
    assert b"link" not in response.headers
    assert response.headers[b"content-length"] == b"1"
    response.close()


async def test_interim_answers_split_anywhere(client: Start) -> None:
    async def script(wire: Wire) -> None:
        body = await wire.message()
        for byte in CONTINUE + EARLY_HINTS + plain(body):
            await wire.send(bytes([byte]))
            await asyncio.sleep(0)

    engine = await client(script)
    assert await engine.upstream.fetch(b"POST", b"/", b"ab", limit=9) == (200, b"ab")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nPRI * HTTP/2.0",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_switching_protocols_is_no_answer(client: Start, answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(answer)
        await wire.gone()

    engine = await client(script)
    with pytest.raises(EngineBadResponse):
        await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)


async def test_interim_answers_without_end_are_none(client: Start) -> None:
    async def script(wire: Wire) -> None:
        await wire.message()
        while not wire.writer.is_closing():
            await wire.send(EARLY_HINTS * 1000)

    engine = await client(script)
    with pytest.raises(EngineBadResponse, match="answer is too large"):
        await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)


async def test_one_endless_header_is_not_collected(client: Start) -> None:
    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\nx: ")
        while not wire.writer.is_closing():
            await wire.send(b"y" * 65_536)

    engine = await client(script)
    with pytest.raises(EngineBadResponse, match="answer is too large"):
        await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)


UNASKED = {
    "a second answer": plain(b"stale"),
    "a 408": plain(b"", status="408 Request Timeout", extra="connection: close\r\n"),
    "an interim answer": CONTINUE,
    "half an answer": b"HTTP/1.1 200 OK\r\ncontent-len",
    "one byte": b"H",
    "garbage": b"\x00\x01\x02",
    "a chunk": chunk(b"more"),
}


@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize("when", ["with the answer", "behind it", "while idle"])
async def test_bytes_that_nobody_asked_for_are_nobodys(client: Start, name: str, when: str) -> None:
    async def script(wire: Wire) -> None:
        while True:
            body = await wire.message()
            if when == "with the answer":
                await wire.send(plain(body) + UNASKED[name])
                continue
            await wire.send(plain(body))
            await asyncio.sleep(0 if when == "behind it" else 0.03)
            await wire.send(UNASKED[name])

    engine = await client(script)
    for number in range(6):
        body = b"%d" % number
        assert await engine.upstream.fetch(b"POST", b"/", body, limit=9) == (200, body)
        await asyncio.sleep(0.06)
    assert len(engine.wires) == 6, "such a connection is not used again"


async def test_bytes_that_lie_unread_in_the_socket_are_seen_before_it_is_used(client: Start) -> None:
    """The event loop has not got round to reading them: nothing but the socket itself tells."""
    sent = asyncio.Event()

    async def script(wire: Wire) -> None:
        body = await wire.message()
        await wire.send(plain(body))
        await sent.wait()
        while True:
            body = await wire.message()
            await wire.send(plain(body))

    engine = await client(script)
    await engine.upstream.fetch(b"POST", b"/", b"1", limit=9)
    engine.wires[0].writer.get_extra_info("socket")._sock.send(plain(b"stale"))  # at once, past the event loop
    sent.set()
    assert await engine.upstream.fetch(b"POST", b"/", b"2", limit=9) == (200, b"2")
    assert len(engine.wires) == 2


@pytest.mark.parametrize("extra", ["connection: close\r\n", ""])
async def test_a_408_that_crosses_a_request_is_about_the_connection(client: Start, extra: str) -> None:
    arrived: list[bytes] = []

    async def script(wire: Wire) -> None:
        body = await wire.message()
        await wire.send(plain(body))
        arrived.append(body)
        body = await wire.message()
        await wire.send(plain(b"", status="408 Request Timeout", extra=extra))
        wire.close()

    engine = await client(script)
    for number in range(4):
        body = b"%d" % number
        assert await engine.upstream.fetch(b"POST", b"/", body, limit=9) == (200, body)
    assert arrived == [b"0", b"1", b"2", b"3"]


async def test_a_408_on_a_new_connection_is_the_answer(client: Start) -> None:
    async def script(wire: Wire) -> None:
        await wire.message()
        await wire.send(plain(b"", status="408 Request Timeout"))

    engine = await client(script)
    assert (await engine.upstream.fetch(b"POST", b"/", b"x", limit=9))[0] == 408


async def test_an_interim_answer_and_then_a_reset_is_not_sent_again(client: Start) -> None:
    """The engine has shown that it read the request."""
    arrived: list[bytes] = []

    async def script(wire: Wire) -> None:
        while True:
            body = await wire.message()
            arrived.append(body)
            if body == b"poison":
                await wire.send(CONTINUE)
                await asyncio.sleep(0.05)
                wire.reset()
                return
            await wire.send(plain(body))

    engine = await client(script)
    await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)
    with pytest.raises(EngineReset) as caught:
        await engine.upstream.fetch(b"POST", b"/", b"poison", limit=9)
    assert caught.value.has_begun
    assert arrived.count(b"poison") == 1


def test_the_same_on_uvloop() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        try:
            while True:
                body = await wire.message()
                await wire.send(CONTINUE)
                await asyncio.sleep(0.02)
                await wire.send(plain(body))
                await asyncio.sleep(0.02)
                await wire.send(plain(b"stale"))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> list[bytes]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answers: list[bytes] = []
        async with Upstream("e", f"http://127.0.0.1:{port}", key=None, connect_timeout=5) as upstream:
            for number in range(5):
                answers.append((await upstream.fetch(b"POST", b"/", b"%d" % number, limit=9))[1])
                await asyncio.sleep(0.05)
        server.close()
        await asyncio.sleep(0.05)
        return answers

    assert uvloop.run(main()) == [b"0", b"1", b"2", b"3", b"4"]


async def test_an_unasked_end_of_the_connection_is_seen(client: Start) -> None:
    engine = await client(numbered(b""))
    await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)
    engine.wires[0].close()
    await until(lambda: not engine.upstream._idle[0].usable)
    assert await engine.upstream.fetch(b"POST", b"/", b"y", limit=9) == (200, b"y")

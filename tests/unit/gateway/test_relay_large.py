"""Plain answers of any size: whole up to a limit, relayed above it, and counted as what they were."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import EMBEDDINGS, Gateway, nonzero_samples
from tests.support.in_process.wire import Wire, chunk, dial, plain, post, raw_engine

from gateway.attempt import PLAIN_BUFFER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

COUNT = {"prompt_tokens": 11, "total_tokens": 11}
ASK = {"model": "mock", "input": "x"}


def embeddings(size: int, *, first: bool = False) -> bytes:
    """An answer of about so many bytes, with its usage at one end or the other."""
    row = {"object": "embedding", "index": 0, "embedding": [0.125] * 512, "note": 'says "usage":{"prompt_tokens":9}'}
    rows = [row] * max(1, size // len(json.dumps(row)))
    usage, data = {"usage": COUNT}, {"object": "list", "data": rows}
    return json.dumps({**usage, **data} if first else {**data, **usage}).encode()


def answering(body: bytes, framing: str) -> Callable[[Wire, bytes], Awaitable[None]]:
    async def script(wire: Wire, _: bytes) -> None:
        if framing == "content-length":
            await wire.send(plain(body))
        elif framing == "chunked":
            await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 300_000):
                await wire.send(chunk(body[start : start + 300_000]))
            await wire.send(chunk(b""))
        else:
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            wire.close()

    return script


@pytest.mark.parametrize("framing", ["content-length", "chunked", "until it closes"])
@pytest.mark.parametrize("first", [False, True], ids=["usage last", "usage first"])
@pytest.mark.parametrize("size", [1_000, PLAIN_BUFFER - 50_000, PLAIN_BUFFER + 50_000, 12_000_000])
async def test_answers_arrive_byte_for_byte_and_are_counted(serve: Serve, size: int, first: bool, framing: str) -> None:
    body = embeddings(size, first=first)
    async with raw_engine(answering(body, framing)) as engine:
        gateway = await serve(engine, engine_prices=(("raw", "1.0"),))
        answer = await gateway.http.post(EMBEDDINGS, json=ASK)
        assert (answer.status_code, answer.content == body) == (200, True)
        assert ("x-cost-usd" in answer.headers) == (len(body) <= PLAIN_BUFFER)
        await gateway.ended("ok", 200, stream=False, path=EMBEDDINGS)
        assert nonzero_samples(gateway.metrics.tokens) == {("mock", "input"): 11}
        assert gateway.requests()[0]["cost_usd"] is not None


@pytest.mark.parametrize("how", ["close", "reset", "a chunk that is none", "no more"])
async def test_a_large_answer_that_breaks_off_ends_its_connection(serve: Serve, how: str) -> None:
    half = embeddings(4_000_000)[:-1_000]

    async def script(wire: Wire, _: bytes) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(half))
        await asyncio.sleep(0.1)
        if how == "no more":
            await wire.send(chunk(b""))  # a clean end of half an answer
        elif how == "a chunk that is none":
            await wire.send(b"zz\r\n")
        else:
            getattr(wire, how)()

    async with raw_engine(script) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post(ASK, path=EMBEDDINGS))
            received = await client.rest()
        assert received.startswith(b"HTTP/1.1 200 ")
        assert not received.endswith(b"0\r\n\r\n"), "nothing says that it was whole"
        assert b'{"error"' not in received
        await gateway.ended("stream_error", 200, stream=False, path=EMBEDDINGS)
        assert nonzero_samples(gateway.metrics.tokens) == {}


async def test_a_large_answer_that_stalls_is_given_up(serve: Serve) -> None:
    async def script(wire: Wire, _: bytes) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(embeddings(3_000_000)[:-9]))
        await wire.gone()

    async with raw_engine(script) as engine:
        gateway = await serve(engine, idle_timeout=0.5)
        async with dial(gateway.port) as client:
            await client.send(post(ASK, path=EMBEDDINGS))
            await client.rest()
        await gateway.ended("timeout", 200, stream=False, path=EMBEDDINGS)
        assert nonzero_samples(gateway.metrics.timeouts) == {("idle",): 1}


@pytest.mark.parametrize("size", [PLAIN_BUFFER - 10_000, 27_000_000], ids=["whole", "relayed"])
async def test_an_answer_that_nobody_reads_is_cancelled_and_soon_let_go(serve: Serve, size: int) -> None:
    async with raw_engine(answering(embeddings(size), "content-length")) as engine:
        gateway = await serve(engine, send_timeout=0.5, total_timeout=60)
        for listener in gateway.server.servers[0].sockets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what the kernel holds counts as read
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(ASK, path=EMBEDDINGS))
            await gateway.ended("cancelled", 200, stream=False, path=EMBEDDINGS)
            assert gateway.requests()[0]["error_code"] == "client_too_slow"
            assert gateway.requests()[0]["duration_ms"] < 30_000
            assert client.writer is not None


async def test_a_client_that_leaves_a_large_answer_frees_the_engine(serve: Serve) -> None:
    freed = asyncio.Event()

    async def script(wire: Wire, _: bytes) -> None:
        try:
            await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b'{"data":['))
            while True:
                await wire.send(chunk(b"1," * 100_000))
        finally:
            freed.set()

    async with raw_engine(script) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post(ASK, path=EMBEDDINGS))
            await client.reader.readexactly(2_000_000)
        await asyncio.wait_for(freed.wait(), 5)
        await gateway.ended("cancelled", 200, stream=False, path=EMBEDDINGS)


@pytest.mark.parametrize("body", [b"<html>" * 400_000, b"[" + b"1," * 1_000_000, b" " * 2_000_000])
async def test_a_large_answer_that_is_no_object_is_refused_before_it_begins(serve: Serve, body: bytes) -> None:
    async with raw_engine(answering(body, "content-length")) as engine:
        gateway = await serve(engine)
        answer = await gateway.http.post(EMBEDDINGS, json=ASK)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_broken")

"""How a client leaves, and what runs behind a running request: over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import CHAT, Gateway, chat
from tests.support.in_process.wire import dial, post

if TYPE_CHECKING:
    from tests.support.in_process.mock import Mock

LIVEZ = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
SLOW = {"stream": True, "mock": {"tokens": 2_000, "interval_s": 0.05}}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (LIVEZ, 200),
        (b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (post(key="wrong"), 401),
        (post(b"{"), 400),
        (post(chat(model="other")), 404),
        (post(b"", "expect: x").replace(b"content-length: 0", b"content-length: 99999999") + b"x", 413),
        (b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % CHAT.encode(), 405),
    ],
    ids=["livez", "404", "401", "400", "model", "413", "405"],
)
async def test_a_half_closed_client_gets_what_the_gateway_itself_answers(
    gateway: Gateway, request_: bytes, status: int
) -> None:
    async with dial(gateway.port) as client:
        client.writer.write(request_)
        client.writer.write_eof()
        received = await client.rest()
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert received.count(b"HTTP/1.1 ") == 1
    await gateway.settled(1)


async def test_a_half_closed_client_gets_each_of_its_pipelined_answers(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        client.writer.write(LIVEZ * 50)
        client.writer.write_eof()
        assert (await client.rest()).count(b'{"status":"alive"}') == 50


@pytest.mark.parametrize("later", [False, True])
async def test_a_half_closed_client_of_a_relayed_request_has_gone(gateway: Gateway, alpha: Mock, later: bool) -> None:
    async with dial(gateway.port) as client:
        await client.send(post(chat(**SLOW)))
        if later:
            await client.until(b"data: ")
        client.writer.write_eof()
        await client.gone()
    await alpha.wait_for(lambda truth: truth["running"] == 0)
    await gateway.ended("cancelled", 200 if later else 499, stream=True)


@pytest.mark.timing
@pytest.mark.parametrize("behind", [LIVEZ, LIVEZ * 500, post(b"x" * 600_000), post(b"x" * 5_000_000), LIVEZ * 200_000],
                         ids=["one", "many", "large", "too large", "too many"])  # fmt: skip
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_pipelining_client_that_leaves_frees_its_engine_at_once(
    gateway: Gateway, alpha: Mock, behind: bytes, how: str
) -> None:
    async with dial(gateway.port) as client:
        await client.send(post(chat(**SLOW)))
        await client.until(b"data: ")
        await client.send(behind)
        assert (await alpha.truth())["running"] == 1
        connection = next(each for each in gateway.server.connections if each._queue or each._ignores_input)
        assert len(connection._buffered) <= 1_048_576
        if how == "fin":
            client.writer.write_eof()
        else:
            client.reset()
        left = asyncio.get_running_loop().time()
        await alpha.wait_for(lambda truth: truth["running"] == 0)
        assert asyncio.get_running_loop().time() - left < 1
    await gateway.settled(1)


async def test_pipelined_requests_behind_a_stream_are_answered_after_it(gateway: Gateway, alpha: Mock) -> None:
    async with dial(gateway.port) as client:
        content = json.dumps(chat(user="x" * 300_000)).encode()
        await client.send(post(chat(stream=True)) + LIVEZ * 200 + post(content) + LIVEZ)
        await client.until(b"0\r\n\r\n")
        for _ in range(200):
            assert await client.message() == b'{"status":"alive"}'
        answer = json.loads(await client.message())
        assert "choices" in answer, answer
        assert await client.message() == b'{"status":"alive"}'
    assert (await alpha.truth())["requests"] == 2


async def test_more_than_is_kept_behind_a_running_request_is_refused_behind_its_answer(
    gateway: Gateway, alpha: Mock
) -> None:
    await alpha.change(ttft_s=0.5)
    async with dial(gateway.port) as client:
        await client.send(post() + LIVEZ + LIVEZ * 100_000)
        await client.message()
        assert client.head.startswith(b"HTTP/1.1 200 ")
        received = await client.rest()
    assert b"HTTP/1.1 413 " in received
    assert received.count(b"connection: close") == 1


async def test_nothing_is_answered_behind_a_request_that_closes(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        await client.send(LIVEZ.replace(b"host: a", b"host: a\r\nconnection: close") + LIVEZ * 3)
        assert (await client.rest()).count(b"HTTP/1.1 ") == 1
    await gateway.settled(1)


async def test_a_large_last_answer_reaches_a_client_that_is_still_sending(gateway: Gateway) -> None:
    async with dial(gateway.port, receive_buffer=4_096) as client:
        client.writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + b"x" * 500_000)
        await client.message()
        assert client.head.startswith(b"HTTP/1.1 200 ")

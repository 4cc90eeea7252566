"""How a worker stops: what is kept, what is told, what is closed; and how it listens again."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import Gateway, chat, until
from tests.support.in_process.wire import dial, post

from gateway.server.descriptors import has_unread_data

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

LIVEZ = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"


def stop(gateway: Gateway) -> None:
    gateway.server.should_exit = True


async def stopping(gateway: Gateway) -> None:
    stop(gateway)
    await until(lambda: gateway.server.stopping)


async def test_a_connection_is_served_once_more_and_told_that_this_was_the_last_answer(
    serve: Serve, alpha: Mock
) -> None:
    gateway = await serve(alpha, linger=60)
    async with dial(gateway.port) as used, dial(gateway.port) as fresh:
        await used.send(LIVEZ)
        await used.message()
        assert b"connection: close" not in used.head
        await until(lambda: len(gateway.server.connections) >= 2)
        await stopping(gateway)
        for client in (used, fresh):
            await client.send(LIVEZ)
            assert await client.message() == b'{"status":"alive"}'
            assert b"connection: close\r\n" in client.head
            assert await client.rest() == b""


async def test_a_connection_reused_after_a_stream_that_outlived_the_linger_is_served(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, linger=0.3)
    async with dial(gateway.port) as client:
        await client.send(post(chat(stream=True, mock={"tokens": 10, "interval_s": 0.07})))
        head = await client.until(b"\r\n\r\n")
        assert b"connection: close" not in head
        await stopping(gateway)
        await client.until(b"0\r\n\r\n")
        await client.send(LIVEZ)
        assert await client.message() == b'{"status":"alive"}'
        assert b"connection: close\r\n" in client.head


async def test_an_answer_that_has_not_begun_says_that_it_is_the_last(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, linger=60)
    await alpha.change(ttft_s=0.5)
    async with dial(gateway.port) as client:
        await client.send(post())
        await alpha.wait_for(lambda truth: truth["running"] == 1)
        await stopping(gateway)
        await client.message()
        assert client.head.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close\r\n" in client.head


@pytest.mark.parametrize("early", [True, False])
async def test_pipelined_requests_are_all_answered_and_the_last_answer_says_so(
    serve: Serve, alpha: Mock, early: bool
) -> None:
    gateway = await serve(alpha, linger=60)
    await alpha.change(ttft_s=0.5)
    async with dial(gateway.port) as client:
        await client.send(post() + (LIVEZ * 3 if early else b""))
        await alpha.wait_for(lambda truth: truth["running"] == 1)
        await stopping(gateway)
        if not early:
            await asyncio.sleep(0.05)
            await client.send(LIVEZ * 3)
        received = await client.rest()
    assert received.count(b"HTTP/1.1 200 ") == 4
    assert received.count(b"connection: close") == 1
    assert received.rindex(b"connection: close") > received.rindex(b"HTTP/1.1 200 ")


async def test_a_request_that_lies_unread_is_not_lost_to_the_end_of_an_idle_connection(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        await client.send(LIVEZ)
        await client.message()
        connection = next(each for each in gateway.server.connections if each._running is None and each._latest)
        connection._transport.pause_reading()
        await client.send(LIVEZ)
        await until(lambda: has_unread_data(connection._transport))
        connection.expire(connection.deadline)
        connection._transport.resume_reading()
        assert await client.message() == b'{"status":"alive"}'


async def test_what_is_idle_ends_at_once_and_so_does_the_worker(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, linger=0)
    async with dial(gateway.port) as client:
        await client.send(LIVEZ)
        await client.message()
        stop(gateway)
        assert await client.rest() == b""
    await until(lambda: not gateway.server.connections)


async def test_a_request_whose_head_is_on_its_way_is_served(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, linger=0)
    async with dial(gateway.port) as client:
        await client.send(LIVEZ[:20])
        await until(lambda: any(each._reader.in_head for each in gateway.server.connections))
        await stopping(gateway)
        await client.send(LIVEZ[20:])
        assert await client.message() == b'{"status":"alive"}'


async def test_a_request_that_outlives_the_grace_is_told_so(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, linger=0)
    await alpha.change(ttft_s=1.9)
    async with dial(gateway.port) as client:
        await client.send(post())
        await alpha.wait_for(lambda truth: truth["running"] == 1)
        stop(gateway)
        assert json.loads(await client.message())["error"]["code"] == "shutting_down"


async def test_a_paused_listener_keeps_who_comes_waiting_and_takes_them_later(gateway: Gateway) -> None:
    gateway.server.pause_listening()
    async with dial(gateway.port) as client:
        await client.send(LIVEZ)
        await asyncio.sleep(0.2)
        await gateway.server.listen()
        assert await client.message() == b'{"status":"alive"}'

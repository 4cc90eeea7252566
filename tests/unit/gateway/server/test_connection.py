"""One client's connection, over real sockets: what it sends, when it stalls, how it leaves, and what it gets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.server import KEY, Gateway, chat, nonzero_samples, until
from tests.support.in_process.wire import Wire, dial, post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

LIVEZ = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAAB")


async def error_of(wire: Wire) -> tuple[int, dict[str, Any]]:
    """The next answer's status and its error, which must have OpenAI's shape and an id."""
    body = await wire.message()
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert b"content-type: application/json\r\n" in wire.head
    assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", wire.head)
    return int(wire.head.split(b" ")[1]), error


# Upgrade


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_upgrade_offer_is_ignored_and_the_body_kept(
    gateway: Gateway, alpha: Mock, framing: str, size: int
) -> None:
    content = json.dumps(chat()).encode()
    data = post(content, *H2C)
    if framing == "chunked":
        data = post(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content), *H2C, "transfer-encoding: chunked")
    async with dial(gateway.port) as client:
        sent = data + LIVEZ
        for at in range(0, len(sent), size):
            await client.send(sent[at : at + size])
        await client.message()
        assert client.head.startswith(b"HTTP/1.1 200 ")
        assert await client.message() == b'{"status":"alive"}'
    assert (await alpha.truth())["requests"] == 1


async def test_what_an_upgrade_offer_carries_is_no_request_of_its_own(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        await client.send(post(LIVEZ, *H2C))
        status, _ = await error_of(client)
        assert status == 400
        client.writer.write_eof()
        assert await client.rest() == b""
    await gateway.settled(1)


async def test_a_websocket_offer_gets_what_the_path_gives(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        offer = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n"
        await client.send(LIVEZ.replace(b"host: a\r\n", b"host: a\r\n" + offer) + LIVEZ)
        for _ in range(2):
            assert await client.message() == b'{"status":"alive"}'
            assert client.head.startswith(b"HTTP/1.1 200 ")


# What cannot be read


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n", 400, "malformed_http"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "malformed_http"),
        (b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n", 405, "method_not_allowed"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
        (b"GET a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 400, "malformed_http"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else str(value),
)
async def test_what_cannot_be_read_is_answered_counted_and_ends_the_connection(
    gateway: Gateway, data: bytes, status: int, code: str
) -> None:
    async with dial(gateway.port) as client:
        await client.send(data + LIVEZ)
        reported, error = await error_of(client)
        assert (reported, error["code"]) == (status, code)
        assert b"connection: close\r\n" in client.head
        assert await client.rest() == b""
    await gateway.settled(1)
    assert nonzero_samples(gateway.metrics.requests) == {("other", "none", "false", "client_error", str(status)): 1}
    assert gateway.requests()[0]["error_code"] == code


async def test_what_cannot_be_read_waits_for_the_answer_before_it(gateway: Gateway, alpha: Mock) -> None:
    await alpha.change(ttft_s=0.3)
    async with dial(gateway.port) as client:
        await client.send(post() + b"nonsense\r\n\r\n")
        await client.message()
        assert client.head.startswith(b"HTTP/1.1 200 ")
        assert (await error_of(client))[0] == 400
        assert await client.rest() == b""


async def test_a_body_that_is_no_http_is_the_requests_own_error(gateway: Gateway, alpha: Mock) -> None:
    async with dial(gateway.port) as client:
        await client.send(post(b"5\r\nhello", "transfer-encoding: chunked"))
        await client.send(b"\r\nzz\r\n" + LIVEZ)
        status, error = await error_of(client)
        assert (status, error["code"]) == (400, "malformed_http")
        assert b"connection: close\r\n" in client.head
        assert await client.rest() == b""
    await gateway.ended("client_error", 400, stream=False, model="none")
    assert (await alpha.truth())["requests"] == 0


async def test_a_large_head_is_refused_while_it_comes_and_is_not_kept(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
        block = b"y" * 1_000_000
        for _ in range(20):
            await client.send(block)  # the server reads on, so that its answer is not lost to a reset
        status, error = await error_of(client)
        assert (status, error["code"]) == (431, "headers_too_large")
    await gateway.settled(1)


# Deadlines


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n"])
async def test_a_head_has_a_deadline(serve: Serve, alpha: Mock, sent: bytes) -> None:
    gateway = await serve(alpha, header_timeout=0.5)
    async with dial(gateway.port) as client:
        await client.send(sent)
        received = await client.rest()
    assert received.startswith(b"HTTP/1.1 408 ") if sent.startswith(b"GET") else received == b""


async def test_hundreds_of_half_requests_are_gone_after_the_deadline_and_others_are_served(
    serve: Serve, alpha: Mock
) -> None:
    gateway = await serve(alpha, header_timeout=0.5)
    loop = asyncio.get_running_loop()
    halves = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(300)]
    for half in halves:
        half.setblocking(False)
        await loop.sock_sendall(half, b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n")
    assert (await gateway.chat()).status_code == 200
    await until(lambda: len(gateway.server.connections) <= 1, 10)
    for half in halves:
        assert (await loop.sock_recv(half, 65_536)).startswith(b"HTTP/1.1 408 ")
        half.close()


async def test_a_head_that_dribbles_does_not_renew_its_deadline(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, header_timeout=0.5)

    async def dribble(client: Wire) -> None:
        while True:
            await client.send(b"x: y\r\n")
            await asyncio.sleep(0.05)

    async with dial(gateway.port) as client:
        await client.send(LIVEZ[:-2])
        feeding = asyncio.create_task(dribble(client))
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 408 ")
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def test_an_idle_connection_ends(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, keep_alive=0.3)
    async with dial(gateway.port) as client:
        await client.send(LIVEZ)
        await client.message()
        assert await client.rest() == b""


async def test_a_body_that_nobody_wants_does_not_hold_the_connection(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        await client.send(b"POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        assert (await error_of(client))[0] == 404
        await client.send(b"x" * 100_000 + LIVEZ)  # in time: the connection goes on
        assert await client.message() == b'{"status":"alive"}'
        await client.send(b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n")
        await client.message()
        connection = next(iter(each for each in gateway.server.connections if each._latest.more_body))
        connection.expire(connection.deadline)  # its time is over
        assert await client.rest() == b""


async def test_a_client_that_reads_nothing_of_what_the_gateway_itself_answers_is_cut(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, send_timeout=0.3)
    async with dial(gateway.port, receive_buffer=4_096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads too
        client.writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n" * 2_000)
        await until(lambda: not [each for each in gateway.server.connections if each._buffered], 10)


# How many


async def test_a_connection_too_many_is_told_so_and_the_next_is_served_once_there_is_room(
    serve: Serve, alpha: Mock
) -> None:
    gateway = await serve(alpha, max_connections=3)
    async with dial(gateway.port) as first, dial(gateway.port) as second, dial(gateway.port) as third:
        for client in (first, second, third):
            await client.send(LIVEZ)
            assert await client.message() == b'{"status":"alive"}'
        async with dial(gateway.port) as fourth:
            await fourth.send(post(b"x" * 100_000))
            status, error = await error_of(fourth)
            assert (status, error["code"], error["type"]) == (503, "too_many_connections", "service_unavailable")
            assert b"retry-after: 1\r\n" in fourth.head
            assert "MAX_CONNECTIONS" in error["message"]
            assert await fourth.rest() == b""
        await first.send(LIVEZ)
        assert await first.message() == b'{"status":"alive"}'
    await until(lambda: not gateway.server.connections)
    assert (await gateway.chat()).status_code == 200
    assert ("other", "none", "false", "queue_full", "503") in nonzero_samples(gateway.metrics.requests)
    assert gateway.engine("alpha").state == "ready"


async def test_connections_beyond_all_limits_wait_and_none_is_dropped(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_connections=10)
    gateway.server.limits = gateway.server.limits._replace(spare=5)

    async def ask() -> int:
        async with dial(gateway.port) as client:
            await client.send(post(key=KEY))
            await client.message()
            return int(client.head.split(b" ")[1])

    statuses = await asyncio.gather(*(ask() for _ in range(200)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 10

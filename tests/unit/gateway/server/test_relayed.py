"""A relayed exchange: how its body is read, and what is written of its answer."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from gateway.dialects import DEFAULT_DIALECT
from gateway.dialects.openai.endpoints import CHAT
from gateway.errors import BodyTooLarge, ClientDisconnected, MalformedRequest, UnsupportedCoding
from gateway.server.relayed import RelayedExchange
from gateway.server.uvicorn_internals import FlowControl, Output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.telemetry.recorder import Recorder

    Begin = Callable[..., Awaitable[tuple[RelayedExchange, "FakeTransport"]]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.calls: list[str] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@pytest.fixture
def begin(recorder: Recorder) -> Begin:
    async def make(
        headers: dict[bytes, bytes] | None = None,
        method: str = "POST",
        *,
        is_http_1_0: bool = False,
        expects_continue: bool = False,
        keep_alive: bool = True,
    ) -> tuple[RelayedExchange, FakeTransport]:
        transport = FakeTransport()
        note = transport.calls.append
        exchange = RelayedExchange(
            CHAT,
            method,
            list((headers or {}).items()),
            Output(transport, lambda: note("close")),
            FlowControl(transport),
            ended=lambda: note("ended"),
            abort=lambda: note("abort"),
            is_http_1_0=is_http_1_0,
            expects_continue=expects_continue,
            keep_alive=keep_alive,
        )
        exchange.begin(recorder.begin("id-1", CHAT.path), DEFAULT_DIALECT)
        return exchange, transport

    return make


# The request's body


async def test_a_body_that_came_with_its_head_is_there_at_once(begin: Begin) -> None:
    exchange, _ = await begin()
    exchange.add(b"ab")
    assert exchange.whole_body(4) is None
    exchange.add(b"cd")
    exchange.complete()
    assert exchange.whole_body(4) == b"abcd"


async def test_a_body_without_a_byte_is_whole(begin: Begin) -> None:
    exchange, _ = await begin()
    exchange.complete()
    assert exchange.whole_body(4) == b""


async def test_a_whole_body_may_not_be_too_long(begin: Begin) -> None:
    exchange, _ = await begin()
    exchange.add(b"abcde")
    exchange.complete()
    with pytest.raises(BodyTooLarge):
        exchange.whole_body(4)


async def test_an_encoded_body_or_that_of_a_client_that_has_gone_is_not_whole(begin: Begin) -> None:
    for headers, disconnected in (({b"content-encoding": b"gzip"}, False), ({}, True)):
        exchange, _ = await begin(headers)
        exchange.add(b"abcd")
        exchange.complete()
        if disconnected:
            exchange.disconnect()
        assert exchange.whole_body(100) is None


async def test_a_body_comes_in_pieces(begin: Begin) -> None:
    calls: list[int] = []
    exchange, _ = await begin()
    reading = asyncio.create_task(exchange.read_body(10, progress=calls.append))
    for piece in (b"a", b"bc", b"d"):
        exchange.add(piece)
        await asyncio.sleep(0.001)
    assert not reading.done()
    exchange.complete()
    assert await reading == b"abcd"
    assert calls == [1, 3, 4]


async def test_an_encoded_body_is_decoded(begin: Begin) -> None:
    exchange, _ = await begin({b"content-encoding": b"gzip"})
    exchange.add(gzip.compress(b"abcd"))
    exchange.complete()
    assert await exchange.read_body(100) == b"abcd"


async def test_codings_in_two_headers_are_refused_as_two(begin: Begin) -> None:
    exchange, _ = await begin()
    exchange._headers = [(b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")]
    exchange._values = dict(exchange._headers)
    with pytest.raises(UnsupportedCoding):
        await exchange.read_body(100)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_long_is_refused(begin: Begin, *, announced: bool) -> None:
    exchange, _ = await begin({b"content-length": b"11"} if announced else None)
    if not announced:
        exchange.add(b"x" * 11)
        exchange.complete()
    with pytest.raises(BodyTooLarge):
        await exchange.read_body(10)


async def test_a_client_that_is_faster_than_its_reader_is_paused(begin: Begin) -> None:
    exchange, transport = await begin()
    exchange.add(b"x" * 70_000)
    assert transport.calls == ["pause"]
    reading = asyncio.create_task(exchange.read_body(100_000))
    await asyncio.sleep(0)
    assert transport.calls == ["pause", "resume"]
    exchange.complete()
    assert len(await reading) == 70_000


@pytest.mark.parametrize("how", ["disconnect", "half_close"])
async def test_a_client_that_leaves_while_it_sends(begin: Begin, how: str) -> None:
    exchange, _ = await begin()
    exchange.add(b"a")
    reading = asyncio.create_task(exchange.read_body(10))
    await asyncio.sleep(0)
    getattr(exchange, how)()
    with pytest.raises(ClientDisconnected):
        await reading


async def test_a_body_that_is_not_http_fails_its_reader(begin: Begin) -> None:
    exchange, _ = await begin()
    reading = asyncio.create_task(exchange.read_body(10))
    await asyncio.sleep(0)
    exchange.fail_body(MalformedRequest("no"))
    with pytest.raises(MalformedRequest):
        await reading
    assert not exchange.keep_alive


@pytest.mark.parametrize("complete", [True, False])
async def test_a_client_that_waits_is_told_to_go_on(begin: Begin, *, complete: bool) -> None:
    exchange, transport = await begin(expects_continue=True)
    if complete:
        exchange.add(b"a")
        exchange.complete()
    reading = asyncio.create_task(exchange.read_body(10))
    await asyncio.sleep(0)
    assert transport.written == ([] if complete else [CONTINUE])
    exchange.complete()
    await reading


# A client that leaves


@pytest.mark.parametrize("how", ["disconnect", "half_close"])
async def test_who_wants_to_know_is_told_at_once_that_the_client_has_left(begin: Begin, how: str) -> None:
    exchange, _ = await begin()
    told: list[str] = []
    exchange.on_disconnect(lambda: told.append("first"))
    exchange.on_disconnect(None)
    exchange.on_disconnect(lambda: told.append("second"))
    assert not await exchange.has_left()
    getattr(exchange, how)()
    assert told == ["second"]
    assert await exchange.has_left()
    exchange.on_disconnect(lambda: told.append("late"))
    assert told == ["second", "late"]


async def test_a_client_that_leaves_behind_its_answer_is_nobodys_business(begin: Begin) -> None:
    exchange, _ = await begin()
    told: list[str] = []
    exchange.on_disconnect(lambda: told.append("left"))
    await exchange.write_head(200, [(b"content-length", b"0")])
    await exchange.end()
    exchange.disconnect()
    assert (told, exchange.disconnected) == ([], False)


# The answer


@pytest.mark.parametrize("status", [529, 419, 599])
async def test_a_status_that_has_no_phrase(begin: Begin, status: int) -> None:
    exchange, transport = await begin()
    await exchange.write_head(status, [(b"content-length", b"0")])
    await exchange.end()
    assert transport.written[0].startswith(b"HTTP/1.1 %d \r\n" % status)


async def test_head_and_body_are_one_write(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, exchange.plain_headers(2))
    assert (transport.written, exchange.observation.status) == ([], 200)
    await exchange.end(b"ab")
    assert transport.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-request-id: id-1\r\n\r\nab"
    ]
    assert transport.calls == ["ended"]


async def test_a_stream_is_chunked(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, ())
    for piece in (b"ab", b"", b"c" * 16):
        await exchange.write(piece)
    await exchange.end(b"d")
    head = b"HTTP/1.1 200 OK\r\nx-request-id: id-1\r\ntransfer-encoding: chunked\r\n\r\n"
    assert transport.written[0] == head + b"2\r\nab\r\n"
    assert b"".join(transport.written[1:]) == b"10\r\n%b\r\n1\r\nd\r\n0\r\n\r\n" % (b"c" * 16)


async def test_a_stream_without_a_last_piece_ends(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, ())
    await exchange.end()
    assert transport.written[0].endswith(b"chunked\r\n\r\n0\r\n\r\n")


async def test_for_http_1_0_the_end_of_a_stream_is_that_of_the_connection(begin: Begin) -> None:
    exchange, transport = await begin(is_http_1_0=True, keep_alive=False)
    await exchange.write_head(200, ())
    await exchange.write(b"ab")
    await exchange.end(b"c")
    assert transport.written == [b"HTTP/1.1 200 OK\r\nx-request-id: id-1\r\nconnection: close\r\n\r\nab", b"c"]
    assert transport.calls == ["close", "ended"]


async def test_an_answer_to_head_has_no_body(begin: Begin) -> None:
    exchange, transport = await begin(method="HEAD")
    await exchange.write_head(405, exchange.plain_headers(2))
    await exchange.end(b"ab")
    assert transport.written[0].startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"".join(transport.written).endswith(b"\r\n\r\n")
    assert b"content-length: 2\r\n" in transport.written[0]


async def test_whether_an_answer_is_the_last_is_decided_when_it_is_written(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, [(b"content-length", b"0")])
    exchange.keep_alive = False
    await exchange.end()
    assert b"\r\nconnection: close\r\n" in transport.written[0]
    assert transport.calls == ["close", "ended"]


@pytest.mark.parametrize("body", [b"a", b"abc"])
async def test_a_body_of_another_length_than_announced_is_a_fault(begin: Begin, body: bytes) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, exchange.plain_headers(2))
    with pytest.raises(RuntimeError):
        await exchange.end(body)
    exchange.close()
    assert transport.calls == ["abort"]


async def test_a_writer_waits_for_a_client_that_does_not_read(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, ())
    exchange._flow.pause_writing()
    writing = asyncio.create_task(exchange.write(b"ab"))
    await asyncio.sleep(0.001)
    assert transport.written == []
    exchange._flow.resume_writing()
    await writing
    assert transport.written[0].endswith(b"2\r\nab\r\n")


async def test_nothing_is_written_to_a_client_that_has_gone(begin: Begin) -> None:
    exchange, transport = await begin()
    await exchange.write_head(200, ())
    exchange.disconnect()
    await exchange.write(b"ab")
    await exchange.end()
    exchange.close()
    assert (transport.written, transport.calls) == ([], [])

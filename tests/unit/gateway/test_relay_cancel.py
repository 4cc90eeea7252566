"""Clients that go away, clients that do not read, and clients that send too slowly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import CHAT, Gateway, chat, nonzero_samples, until
from tests.support.in_process.wire import (
    DONE,
    EVENT_STREAM,
    Wire,
    chunk,
    delta,
    dial,
    forever,
    plain,
    post,
    raw_engine,
)

from gateway.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


async def _freed_within_a_second(mock: Mock, since: float) -> None:
    truth = await mock.wait_for(lambda truth: truth["running"] == 0)
    assert time.monotonic() - since < 1
    assert (truth["cancelled"], truth["finished"]) == (1, 0)


@pytest.mark.timing
@BOTH
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_before_the_first_byte(
    serve: Serve, alpha: Mock, beta: Mock, stream: bool, how: str
) -> None:
    gateway = await serve(alpha, beta)
    async with dial(gateway.port) as client:
        await client.send(post(chat(stream=stream, mock={"ttft_s": 30})))
        await alpha.wait_for(lambda truth: truth["running"] == 1)
        left = time.monotonic()
        getattr(client, how)()
        await _freed_within_a_second(alpha, left)
    await gateway.ended("cancelled", 499, stream=stream)
    assert nonzero_samples(gateway.metrics.cancellations) == {("before_first_event",): 1}
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "cancelled"): 1}
    assert (await beta.truth())["requests"] == 0, "a client that has gone is not served by anybody else"
    assert gateway.engine("alpha").state == "ready"


@pytest.mark.timing
@BOTH
async def test_a_client_that_leaves_a_llama_cpp(serve: Serve, llama: Mock, stream: bool) -> None:
    gateway = await serve(llama)
    async with dial(gateway.port) as client:
        await client.send(post(chat(stream=stream, mock={"interval_s": 0.02, "tokens": 5000})))
        await llama.wait_for(lambda truth: truth["tokens_sent"] >= 3)
        left = time.monotonic()
        client.close()
        await _freed_within_a_second(llama, left)
    await gateway.ended("cancelled", 200 if stream else 499, stream=stream)
    # The plain answer too was being made from a stream: what had come of it is wasted.
    assert nonzero_samples(gateway.metrics.wasted_tokens)["mock", "cancelled"] >= 2


@pytest.mark.timing
async def test_a_client_that_leaves_mid_stream(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    async with dial(gateway.port) as client:
        await client.send(post(chat(stream=True, mock={"interval_s": 0.02, "tokens": 5000})))
        await client.until(b"w004")
        left = time.monotonic()
        client.close()
        await _freed_within_a_second(alpha, left)
    await gateway.ended("cancelled", 200, stream=True)
    assert nonzero_samples(gateway.metrics.cancellations) == {("after_first_event",): 1}
    assert nonzero_samples(gateway.metrics.wasted_tokens)[("mock", "cancelled")] >= 5
    line = gateway.requests()[0]
    assert (line["error_code"], line["output_tokens"]) == ("client_closed_request", None)
    assert line["ttft_ms"] is not None


@pytest.mark.timing
async def test_a_client_that_leaves_a_silent_stream(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    async with dial(gateway.port) as client:
        await client.send(post(chat(stream=True, mock={"fault": "stall:2"})))
        await client.until(b"w001")
        left = time.monotonic()
        client.reset()
        await _freed_within_a_second(alpha, left)
    await gateway.ended("cancelled", 200, stream=True)


async def test_a_client_that_leaves_while_it_sends(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    async with dial(gateway.port) as client:
        await client.send(
            post(b"{", "content-length: 100", "transfer-encoding-not: x").replace(b"length: 1\r", b"x: 1\r")
        )
        await until(lambda: nonzero_samples(gateway.metrics.requests) == {})
        await asyncio.sleep(0.05)
        client.close()
    await gateway.ended("cancelled", 499, stream=False, model="none")
    assert (await alpha.truth())["requests"] == 0


async def test_fifty_clients_leave_and_nothing_stays_behind(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    before = len(asyncio.all_tasks())

    async def leave(number: int) -> None:
        async with dial(gateway.port) as client:
            await client.send(post(chat(stream=number % 2 == 0, mock={"interval_s": 0.01, "tokens": 5000})))
            await asyncio.sleep(0.005 * (number % 7))
            client.close()

    await asyncio.gather(*map(leave, range(50)))
    await until(lambda: sum(nonzero_samples(gateway.metrics.requests_started).values()) == 50)
    await until(lambda: sum(nonzero_samples(gateway.metrics.requests).values()) == 50)
    assert {key[3] for key in nonzero_samples(gateway.metrics.requests)} == {"cancelled"}
    await alpha.wait_for(lambda truth: truth["running"] == 0)
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert nonzero_samples(gateway.metrics.inflight) == {}


async def test_a_slow_reader_is_dropped_and_frees_its_engine(serve: Serve) -> None:
    sent = 0

    async def flood(wire: Wire, _: bytes) -> None:
        nonlocal sent
        await wire.send(EVENT_STREAM)
        piece = chunk(delta("x" * 16_000))
        while True:
            await wire.send(piece)
            sent += len(piece)

    async with raw_engine(_flood) as engine:
        gateway = await serve(engine, send_timeout=0.5)
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(chat(stream=True)))
            await gateway.settled(1)
            # Two sockets' buffers and the gateway's own marks; without a bound it would be hundreds of megabytes.
            assert sent < 16_000_000
        assert nonzero_samples(gateway.metrics.requests) == {(CHAT, "mock", "true", "cancelled", "200"): 1}
        assert gateway.requests()[0]["error_code"] == "client_too_slow"
        await until(lambda: gateway.engine("raw").inflight == 0)


async def test_a_slow_reader_of_the_last_bytes_is_dropped_too(serve: Serve) -> None:
    """The stream's end waits behind what the client has not read: nothing may wait for it for ever."""

    async def all_at_once(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(delta("x" * 3_900_000)))
        await until(lambda: any(connection._flow.write_paused for connection in gateway.server.connections))
        await wire.send(chunk(delta("y") + DONE) + chunk(b""))

    async with raw_engine(all_at_once) as engine:
        gateway = await serve(engine, send_timeout=0.5, total_timeout=3)
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(chat(stream=True)))
            await gateway.settled(1)
        assert gateway.requests()[0]["outcome"] == "cancelled"


async def _flood(wire: Wire, _: bytes) -> None:
    await wire.send(EVENT_STREAM)
    while True:
        await wire.send(chunk(delta("x" * 16_000)))


async def test_a_dropped_reader_loses_its_connection(serve: Serve) -> None:
    async with raw_engine(_flood) as engine:
        gateway = await serve(engine, send_timeout=0.3)
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(chat(stream=True)))
            await gateway.settled(1)
            await asyncio.sleep(0.2)
            received = 0
            try:
                while data := await asyncio.wait_for(client.reader.read(65536), 3):
                    received += len(data)
            except ConnectionError:
                pass
        assert received < 16_000_000
        assert [line for line in gateway.lines() if line["level"] in {"error", "critical"}] == []


async def test_a_dropped_reader_that_never_reads_holds_no_connection(serve: Serve) -> None:
    async with raw_engine(_flood) as engine:
        gateway = await serve(engine, send_timeout=0.3)
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(chat(stream=True)))
            await gateway.settled(1)
            await until(lambda: not gateway.server.server_state.connections, 2)


async def test_a_reader_that_is_slow_but_reads_gets_everything(serve: Serve) -> None:
    async def much(wire: Wire, _body: bytes) -> None:
        await wire.send(EVENT_STREAM)
        for _ in range(200):
            await wire.send(chunk(delta("x" * 16_000)))
        await wire.send(chunk(DONE) + chunk(b""))

    async with raw_engine(much) as engine:
        gateway = await serve(engine, send_timeout=2, idle_timeout=2)
        async with dial(gateway.port, receive_buffer=65536) as client:
            await client.send(post(chat(stream=True), "connection: close"))
            total = 0
            while data := await client.reader.read(65536):
                total += data.count(b"x")
                await asyncio.sleep(0.001)
        assert total >= 3_200_000
        await gateway.ended("ok", 200, stream=True)


async def test_a_body_that_stops_coming(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, idle_timeout=0.3)
    async with dial(gateway.port) as client:
        await client.send(b"POST %b HTTP/1.1\r\nhost: a\r\n" % CHAT.encode())
        await client.send(post(b"").partition(b"host: gateway\r\n")[2].replace(b"length: 0", b"length: 99") + b"{")
        body = await client.message()
    assert client.head.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in body
    await gateway.ended("client_error", 408, stream=False, model="none")


async def test_a_stop_tells_the_clients_of_unfinished_requests(serve: Serve, alpha: Mock) -> None:
    """What uvicorn does when its grace has run out: it cancels the tasks that serve requests."""
    gateway = await serve(alpha)
    async with dial(gateway.port) as plain_client, dial(gateway.port) as stream_client:
        await plain_client.send(post(chat(mock={"ttft_s": 30})))
        await stream_client.send(post(chat(stream=True, mock={"fault": "stall:2"}), "connection: close"))
        await stream_client.until(b"w001")
        await alpha.wait_for(lambda truth: truth["running"] == 2)
        for task in gateway.server.server_state.tasks:
            task.cancel()
        body = await plain_client.message()
        assert plain_client.head.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"shutting_down"' in body
        assert b"\r\nretry-after: 1\r\n" in plain_client.head
        last = await stream_client.rest()
        assert b'"code":"shutting_down"' in last
        assert b"[DONE]" not in last
    await gateway.settled(2)
    outcomes = {(line["stream"], line["outcome"], line["status"]) for line in gateway.requests()}
    assert outcomes == {(False, "internal_error", 503), (True, "stream_error", 200)}
    await alpha.wait_for(lambda truth: truth["running"] == 0)


async def test_a_stop_waits_for_no_client_that_reads_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.exchange._ERROR_SEND_TIMEOUT_S", 0.2)
    async with raw_engine(_flood) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port, receive_buffer=4096) as client:
            await client.send(post(chat(stream=True)))
            await until(lambda: any(connection._flow.write_paused for connection in gateway.server.connections))
            (task,) = gateway.server.server_state.tasks
            task.cancel()
            await gateway.ended("stream_error", 200, stream=True)
            await until(lambda: not gateway.server.server_state.connections, 2)


async def test_nothing_is_left_pending_after_a_plain_answer(serve: Serve) -> None:
    async def reply(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b'{"choices":[]}'))

    async with raw_engine(reply) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post())
            await client.message()
            await gateway.settled(1)
            await asyncio.sleep(0.01)
            own = [
                task for task in asyncio.all_tasks() if "RequestDeadline" in repr(task) or Relay.__name__ in repr(task)
            ]
            assert own == []


async def test_a_hung_engine_frees_the_request_when_the_client_leaves(serve: Serve) -> None:
    async with raw_engine(forever) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post())
            await until(lambda: len(engine.bodies) == 1)
            client.close()
        await gateway.ended("cancelled", 499, stream=False)

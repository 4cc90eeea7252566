"""One attempt at one engine: when its answer is trusted, and how the engine is let go."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.asgi import FakeAsgi, exchange_on
from tests.support.in_process.upstream import EVENTS, FakeResponse, ready_engine
from tests.support.in_process.wire import DONE, delta

from gateway.attempt import PLAIN_BUFFER, Attempt, Timeouts, UpstreamResponse, engine_headers
from gateway.deadline import DeadlineTimer, RequestDeadline
from gateway.dialects import DEFAULT_DIALECT
from gateway.dialects.openai.endpoints import CHAT
from gateway.errors import EngineBadResponse, EngineBusy, EngineRejected
from gateway.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.dialects.base import Headers, InferenceRequest
    from gateway.engines import Engine
    from gateway.exchange import Exchange
    from gateway.telemetry.recorder import Recorder

TIMEOUTS = Timeouts(body=5, ttft=5, idle=5, send=5, total=5)
PLAIN = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'


def asked(**fields: Any) -> InferenceRequest:
    return DEFAULT_DIALECT.parse(CHAT, json.dumps({"model": "mock", **fields}).encode())


def an_exchange(recorder: Recorder, headers: dict[bytes, bytes] | None = None) -> Exchange:
    asgi = FakeAsgi(headers=headers)
    exchange = exchange_on(asgi, recorder.begin("id-1", CHAT.path))
    exchange.deadline = RequestDeadline(DeadlineTimer(), total=5)
    return exchange


@asynccontextmanager
async def attempt(
    engine: Engine, exchange: Exchange, request: InferenceRequest, headers: Headers = ()
) -> AsyncIterator[UpstreamResponse]:
    """An attempt, whose answer is relayed to its end unless the block raises."""
    begun = Attempt(engine, exchange, request, TIMEOUTS)
    finished = False
    try:
        yield await begun.response(headers)
        finished = True
    finally:
        begun.close(finished=finished)


async def test_a_plain_answer_is_trusted_when_it_is_whole(recorder: Recorder) -> None:
    answer = FakeResponse(PLAIN[:10], PLAIN[10:])
    engine, upstream = ready_engine("a", answer)
    exchange = an_exchange(recorder)
    async with attempt(engine, exchange, asked(), ((b"a", b"b"),)) as response:
        assert (response.head, response.stream, response.scanner) == (PLAIN, None, None)
        assert exchange.observation.usage == Usage(3, 2)
        assert engine.inflight == 1
    assert (engine.inflight, engine.waiting, answer.closed) == (0, set(), (True, True))
    assert upstream.requests == [(b"/v1/chat/completions", asked().body, ((b"a", b"b"),))]
    exchange.deadline.stop()


async def test_a_large_plain_answer_is_scanned_as_it_goes_on(recorder: Recorder) -> None:
    engine, _ = ready_engine("a", FakeResponse(b"{" + b" " * PLAIN_BUFFER, b"}"))
    exchange = an_exchange(recorder)
    async with attempt(engine, exchange, asked()) as response:
        assert response.scanner is not None
        assert await response.upstream.chunk() == b"}"
    exchange.deadline.stop()


async def test_a_stream_is_trusted_from_its_first_event_on(recorder: Recorder) -> None:
    answer = FakeResponse(b": ping\n\n", delta("a"), delta("b"), headers=EVENTS)
    engine, _ = ready_engine("a", answer)
    exchange = an_exchange(recorder)
    with suppress(ZeroDivisionError):
        async with attempt(engine, exchange, asked(stream=True)) as response:
            assert response.head == b": ping\n\n" + delta("a")
            assert response.stream is not None
            assert response.stream.token_events == 1
            raise ZeroDivisionError
    assert answer.closed == (False, True), "leaving early cuts the connection"
    exchange.deadline.stop()


async def test_a_plain_answer_is_made_from_the_stream_of_an_engine_that_does_not_notice(recorder: Recorder) -> None:
    answer = FakeResponse(delta("a"), delta("b") + DONE, headers=EVENTS)
    engine, upstream = ready_engine("a", answer, kind="llama_cpp")
    exchange = an_exchange(recorder)
    async with attempt(engine, exchange, asked()) as response:
        assert json.loads(response.head)["choices"][0]["message"]["content"] == "ab"
        assert response.stream is None
    assert json.loads(upstream.requests[0][1])["stream"] is True
    assert answer.closed == (True, False), "it closes the connection after a stream"
    exchange.deadline.stop()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (FakeResponse(b'{"error":{"message":"no"}}', status=422), EngineRejected),
        (FakeResponse(b"full", status=503, headers={b"retry-after": b"7"}), EngineBusy),
        (FakeResponse(PLAIN, headers={b"content-encoding": b"gzip"}), EngineBadResponse),
        (FakeResponse(b"<html>"), EngineBadResponse),
        (FakeResponse(b"[" + b" " * PLAIN_BUFFER), EngineBadResponse),
    ],
    ids=["refused", "busy", "compressed", "no JSON", "large and no object"],
)
async def test_what_is_not_an_answer(recorder: Recorder, answer: FakeResponse, kind: type[Exception]) -> None:
    engine, _ = ready_engine("a", answer)
    exchange = an_exchange(recorder)
    with pytest.raises(kind) as caught:
        async with attempt(engine, exchange, asked()):
            pytest.fail("there is no answer")
    assert getattr(caught.value, "retry_after", None) == (7 if kind is EngineBusy else None)
    assert (engine.inflight, answer.closed) == (0, (False, True))
    exchange.deadline.stop()


@pytest.mark.parametrize(
    ("body", "kind"), [(b'{"error":{"message":"no","code":400}}', EngineRejected), (PLAIN, EngineBadResponse)]
)
async def test_what_is_not_a_stream(recorder: Recorder, body: bytes, kind: type[Exception]) -> None:
    engine, _ = ready_engine("a", FakeResponse(body))
    exchange = an_exchange(recorder)
    with pytest.raises(kind):
        async with attempt(engine, exchange, asked(stream=True)):
            pytest.fail("there is no stream")
    exchange.deadline.stop()


async def test_only_a_valid_trace_goes_on_to_the_engine(recorder: Recorder) -> None:
    given = {b"traceparent": b"00-ab-cd-01", b"tracestate": b"a\xff", b"cookie": b"secret"}
    exchange = an_exchange(recorder, given)
    assert engine_headers(exchange) == ((b"x-request-id", b"id-1"), (b"traceparent", b"00-ab-cd-01"))

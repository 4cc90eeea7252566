"""Which engine is asked, when another one is asked, and what a failure says of the first."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.asgi import FakeAsgi, exchange_on
from tests.support.in_process.server import nonzero_samples
from tests.support.in_process.upstream import FakeResponse, ready_engine

from gateway.attempt import Timeouts, UpstreamResponse
from gateway.deadline import DeadlineTimer, RequestDeadline
from gateway.dialects import DEFAULT_DIALECT
from gateway.dialects.openai.endpoints import CHAT
from gateway.dispatch import Dispatcher
from gateway.engines import Engine, Fleet
from gateway.errors import EngineBadResponse, EngineReset, EngineUnreachable, ModelNotFound, NoEngineReady
from gateway.policies.keys import Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.exchange import Exchange
    from gateway.telemetry.metrics import Metrics
    from gateway.telemetry.recorder import Recorder

TIMEOUTS = Timeouts(body=5, ttft=5, idle=5, send=5, total=5)
ADMIN = Key(name="k", role="admin", digest=b"", expires=None, models=None, revoked=False)
GONE = EngineUnreachable("refused")


def fine() -> FakeResponse:
    return FakeResponse(b'{"choices":[]}')


def failing() -> FakeResponse:
    return FakeResponse(b"boom", status=500)


@asynccontextmanager
async def opened(
    recorder: Recorder, *engines: Engine, model: str = "mock"
) -> AsyncIterator[tuple[Engine, UpstreamResponse, Exchange]]:
    asgi = FakeAsgi()
    exchange = exchange_on(asgi, recorder.begin("id-1", CHAT.path))
    exchange.deadline = RequestDeadline(DeadlineTimer(), total=5)
    request = DEFAULT_DIALECT.parse(CHAT, json.dumps({"model": model}).encode())
    dispatcher = Dispatcher(Fleet(engines, max_success_age=60), TIMEOUTS, recorder)
    try:
        async with dispatcher.open(exchange, request, ADMIN) as (engine, response):
            yield engine, response, exchange
    finally:
        exchange.deadline.stop()


@pytest.mark.parametrize(
    ("failure", "result", "state"),
    [(GONE, "unreachable", "down"), (failing(), "broken", "ready")],
    ids=["gone", "error"],
)
async def test_another_engine_is_asked(
    recorder: Recorder, metrics: Metrics, failure: FakeResponse | Exception, result: str, state: str
) -> None:
    first, _ = ready_engine("a", failure)
    second, _ = ready_engine("b", fine())
    async with opened(recorder, first, second) as (engine, response, exchange):
        assert (engine.name, response.head) == ("b", b'{"choices":[]}')
        assert (exchange.observation.engine, exchange.observation.attempts) == ("b", 2)
    assert (first.state, second.state) == (state, "ready")
    assert first.outlier.failures == 1, "another one could do it: the failure was its own"
    assert nonzero_samples(metrics.engine_requests) == {("a", result): 1, ("b", "ok"): 1}
    assert nonzero_samples(metrics.engine_retries) == {("a",): 1}


async def test_after_dead_engines_every_other_one_is_asked(recorder: Recorder) -> None:
    dead = [ready_engine(name, GONE)[0] for name in "abc"]
    last, _ = ready_engine("d", fine())
    async with opened(recorder, *dead, last) as (engine, _, exchange):
        assert (engine.name, exchange.observation.attempts) == ("d", 4)


async def test_after_an_error_only_one_more_is_asked(recorder: Recorder) -> None:
    engines = [ready_engine(name, failing()) for name in "abc"]
    with pytest.raises(EngineBadResponse):
        async with opened(recorder, *(engine for engine, _ in engines)):
            pytest.fail("nobody answers")
    assert [len(upstream.requests) for _, upstream in engines] == [1, 1, 0]
    assert [engine.outlier.failures for engine, _ in engines] == [0, 0, 0], "it may be the request's fault"


async def test_a_request_that_has_begun_to_answer_is_not_retried(recorder: Recorder) -> None:
    first, _ = ready_engine("a", fine())
    second, other = ready_engine("b", fine())
    with suppress(EngineReset):
        async with opened(recorder, first, second) as (_, _, exchange):
            exchange.observation.status = 200
            raise EngineReset("it broke off", has_begun=True)
    assert other.requests == []
    assert first.outlier.failures == 1


async def test_a_lone_engine_that_is_gone_leaves_nobody(recorder: Recorder) -> None:
    engine, _ = ready_engine("a", GONE)
    with pytest.raises(NoEngineReady, match="a is down"):
        async with opened(recorder, engine):
            pytest.fail("nobody answers")
    with pytest.raises(ModelNotFound):
        async with opened(recorder, engine, model="other"):
            pytest.fail("nobody serves it")


async def test_an_error_of_our_own_is_no_ones_fault(recorder: Recorder, metrics: Metrics) -> None:
    engine, _ = ready_engine("a", fine())
    with pytest.raises(ZeroDivisionError):
        async with opened(recorder, engine):
            raise ZeroDivisionError
    assert nonzero_samples(metrics.engine_requests) == {("a", "error"): 1}
    assert (engine.state, engine.outlier.failures) == ("ready", 0)

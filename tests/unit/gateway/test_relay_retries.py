"""Retries and ejection: at most one other engine, within a budget, and never the last one out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.mock import Mock, mock_process
from tests.support.in_process.server import Gateway, chat, nonzero_samples
from tests.support.in_process.wire import RawEngine, Wire, plain, raw_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]


async def _fail_with_500(wire: Wire, _: bytes) -> None:
    await wire.send(plain(b'{"error":{"message":"broken"}}', status="500 Internal Server Error"))


async def test_a_third_engine_is_never_asked(serve: Serve, alpha: Mock, beta: Mock, llama: Mock) -> None:
    gateway = await serve(alpha, beta, llama)
    answer = await gateway.chat(mock={"fault": "status:500"})
    assert answer.status_code == 502
    await gateway.ended("engine_error", 502, stream=False)
    assert [(await mock.truth())["requests"] for mock in (alpha, beta, llama)] == [1, 1, 0]
    assert nonzero_samples(gateway.metrics.engine_retries) == {("alpha",): 1}
    assert gateway.requests()[0]["attempts"] == 2


async def test_the_other_engine_must_serve_the_model(serve: Serve, alpha: Mock, beta: Mock) -> None:
    await beta.change(models=["something-else"])
    gateway = await serve(alpha, beta)
    assert (await gateway.chat(mock={"fault": "status:500"})).status_code == 502
    assert (await beta.truth())["requests"] == 0
    assert nonzero_samples(gateway.metrics.engine_retries) == {}


async def test_an_engines_4xx_is_passed_on_and_not_retried(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    for status in (400, 409, 422, 413):
        answer = await gateway.chat(mock={"fault": f"status:{status}"})
        assert answer.status_code == status
        assert answer.json()["error"]["message"] == "mock engine failure"
        assert answer.headers["x-should-retry"] == "false"
    await gateway.settled(4)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "rejected"): 2, ("beta", "rejected"): 2}


async def test_five_failures_in_a_row_eject_an_engine_while_another_works(
    serve: Serve, alpha: Mock, beta: Mock
) -> None:
    gateway = await serve(alpha, beta)
    await alpha.change(fault="status:500")
    statuses = [(await gateway.chat()).status_code for _ in range(24)]
    assert gateway.engine("alpha").state == "ejected"
    assert nonzero_samples(gateway.metrics.engine_ejections) == {("alpha",): 1}
    assert nonzero_samples(gateway.metrics.engine_state)[("alpha", "ejected")] == 1
    assert (await alpha.truth())["requests"] == 5
    assert statuses.count(200) >= 22  # three retries are always affordable; a fourth and fifth failure may show
    assert gateway.engine("beta").state == "ready"


async def test_a_success_in_between_starts_the_count_again(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    gateway.fleet.budget.try_acquire = lambda: True  # type: ignore[method-assign]
    for fault in (*["status:500"] * 4, None, *["status:500"] * 4):
        await alpha.change(fault=fault)
        before = (await alpha.truth())["requests"]
        while (await alpha.truth())["requests"] == before:
            assert (await gateway.chat()).status_code == 200
    assert gateway.engine("alpha").state == "ready"
    assert nonzero_samples(gateway.metrics.engine_requests)[("alpha", "broken")] == 8


async def test_the_last_engine_is_never_ejected(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    for _ in range(8):
        assert (await gateway.chat(mock={"fault": "status:500"})).status_code == 502
    assert gateway.engine("alpha").state == "ready"
    assert nonzero_samples(gateway.metrics.engine_ejections) == {}
    assert (await gateway.chat()).status_code == 200


async def test_an_engine_that_alone_serves_one_of_its_models_is_not_ejected(
    serve: Serve, alpha: Mock, beta: Mock
) -> None:
    await alpha.change(models=["mock", {"id": "adapter", "parent": "mock"}])
    gateway = await serve(alpha, beta)
    gateway.fleet.budget.try_acquire = lambda: True  # type: ignore[method-assign]
    await alpha.change(fault="status:500")
    for _ in range(8):
        assert (await gateway.chat()).status_code == 200
    assert gateway.engine("alpha").state == "ready"


async def test_a_500_that_the_request_itself_causes_ejects_nobody(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    gateway.fleet.budget.try_acquire = lambda: True  # type: ignore[method-assign]
    for _ in range(12):
        assert (await gateway.chat(mock={"fault": "status:500"})).status_code == 502
    assert [engine.state for engine in gateway.fleet.engines] == ["ready", "ready"]
    assert nonzero_samples(gateway.metrics.engine_ejections) == {}


async def test_retries_for_5xx_come_out_of_a_budget(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    for _ in range(12):
        await gateway.chat(mock={"fault": "status:500"})
    await gateway.settled(12)
    assert sum(nonzero_samples(gateway.metrics.engine_retries).values()) == 3
    assert (await alpha.truth())["requests"] + (await beta.truth())["requests"] == 15


async def test_broken_connections_move_on_whatever_the_budget_says(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    gateway.fleet.budget.try_acquire = lambda: False  # type: ignore[method-assign]
    await alpha.change(fault="reset")
    for _ in range(8):
        assert (await gateway.chat()).status_code == 200
    await gateway.settled(8)
    results = nonzero_samples(gateway.metrics.engine_requests)
    assert results.pop(("alpha", "reset")) >= 1
    assert results == {("beta", "ok"): 8}


async def test_a_request_that_breaks_its_engines_is_not_asked_for_ever(serve: Serve) -> None:
    """Each engine gets it once, and once more over a new connection where the first was a used one."""

    async def work_then_die(wire: Wire, body: bytes) -> None:
        if b"poison" not in body:
            await wire.send(plain(b'{"choices":[]}'))
            return
        await asyncio.sleep(0.1)
        wire.reset()

    async with raw_engine(work_then_die, name="a") as first, raw_engine(work_then_die, name="b") as second:
        gateway = await serve(first, second)
        await asyncio.gather(*(gateway.chat() for _ in range(8)))  # leaves idle connections behind
        answer = await gateway.chat(poison=1)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_reset")
        arrivals = [sum(b"poison" in body for body in engine.bodies) for engine in (first, second)]
        assert max(arrivals) <= 2


async def test_an_idle_connection_that_the_engine_closed_costs_nothing(serve: Serve) -> None:
    async def answer_and_close(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b'{"choices":[]}'))
        wire.close()

    async with raw_engine(answer_and_close) as engine:
        gateway = await serve(engine)
        for _ in range(5):
            assert (await gateway.chat()).status_code == 200
        await gateway.settled(5)
        assert nonzero_samples(gateway.metrics.engine_requests) == {("raw", "ok"): 5}
        assert len(engine.bodies) == 5


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_model_whose_engines_are_all_away(serve: Serve, stream: bool) -> None:
    with mock_process() as (process, port):
        async with Mock.fresh("only", port) as only:
            gateway = await serve(only)
            process.kill()
            process.wait()
            first = await gateway.chat(stream=stream)
    assert (first.status_code, first.json()["error"]["code"]) == (503, "no_engine_ready")
    answer = await gateway.chat(stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (503, "service_unavailable", "no_engine_ready")
    assert answer.headers["retry-after"].isdigit()
    assert "only is down" in error["message"]
    await gateway.settled(2)
    line = gateway.requests()[1]
    assert (line["outcome"], line["status"], line["engine"], line["attempts"]) == ("engine_error", 503, None, 0)


async def test_requests_spread_over_engines_by_their_load(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    answers = await asyncio.gather(*(gateway.chat(stream=True, mock={"interval_s": 0.02}) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert [(await mock.truth())["finished"] for mock in (alpha, beta)] == [5, 5]


async def test_the_gateway_sends_its_key_and_the_request_id_and_not_the_clients_key(serve: Serve) -> None:
    async def reply(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b'{"choices":[]}'))

    async with raw_engine(reply) as engine:
        gateway = await serve(engine)
        answer = await gateway.http.post(
            "/v1/chat/completions", json=chat(), headers={"x-request-id": "mine", "x-other": "secret", "cookie": "a=b"}
        )
        assert answer.headers["x-request-id"] == "mine"
    _check_head(engine)


def _check_head(engine: RawEngine) -> None:
    head = engine.heads[0].lower()
    assert b"\r\nx-request-id: mine\r\n" in head
    for leak in (b"authorization", b"x-other", b"cookie"):
        assert leak not in head


async def test_an_engine_that_refuses_the_gateways_key_is_not_the_clients_fault(serve: Serve) -> None:
    async def refuse(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b'{"error":"Unauthorized"}', status="401 Unauthorized"))

    async with raw_engine(refuse) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_broken")
        assert "www-authenticate" not in answer.headers
        await gateway.ended("engine_error", 502, stream=False)

"""Engines that break their streams, hang, die and come back: who gets the traffic meanwhile, and what clients see."""

from __future__ import annotations

import asyncio
import errno
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock, mock_process
from tests.support.in_process.server import Gateway, nonzero_samples, stream_text, until, words
from tests.support.in_process.wire import (
    DONE,
    EVENT_STREAM,
    RawEngine,
    Wire,
    chunk,
    delta,
    listening,
    plain,
    raw_engine,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]


async def many(gateway: Gateway, clients: int, each: int, **fields: Any) -> list[bool]:
    """Streams from so many clients, one after the other each: whether every one of them was whole."""

    async def client() -> list[bool]:
        return [b"[DONE]" in (await gateway.chat(stream=True, **fields)).content for _ in range(each)]

    return [whole for answers in await asyncio.gather(*(client() for _ in range(clients))) for whole in answers]


@pytest.mark.parametrize("fault", ["break:1", "error_event:1", "end_without_done:2"])
async def test_an_engine_that_breaks_each_stream_is_found_and_attracts_nothing(
    serve: Serve, alpha: Mock, beta: Mock, fault: str
) -> None:
    gateway = await serve(alpha, beta)
    await alpha.change(fault=fault)
    whole = await many(gateway, clients=12, each=10, mock={"interval_s": 0.005})
    engine = gateway.engine("alpha")
    assert engine.state == "ejected"
    assert nonzero_samples(gateway.metrics.engine_ejections) == {("alpha",): 1}
    # At most all that ran there when it first broke, and then one at a time.
    assert whole.count(False) <= 12 + 4
    assert gateway.engine("beta").ready


async def test_an_engine_that_hangs_after_three_events_is_found(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta, idle_timeout=0.5)
    await alpha.change(fault="stall:3")
    whole: list[bool] = []
    async with asyncio.timeout(60):
        while gateway.engine("alpha").state == "ready":
            whole += await many(gateway, clients=4, each=3)
    assert whole.count(False) <= 4 + 4
    assert nonzero_samples(gateway.metrics.timeouts) == {("idle",): whole.count(False)}


async def test_it_comes_back_by_one_trial_that_finishes_and_not_by_a_probe(
    serve: Serve, alpha: Mock, beta: Mock
) -> None:
    gateway = await serve(alpha, beta, probe_interval=0.05)
    await alpha.change(fault="break:1")
    await many(gateway, clients=2, each=12)
    engine = gateway.engine("alpha")
    assert engine.state == "ejected"
    probes = (await alpha.truth())["probes"]["finished"]
    await alpha.wait_for(lambda truth: truth["probes"]["finished"] > probes + 2)
    assert engine.state == "ejected", "its probes pass, and say nothing of what it was ejected for"

    engine.outlier.ejected_until = time.monotonic()
    before = (await alpha.truth())["requests"]
    answers = await many(gateway, clients=4, each=2)
    assert answers.count(False) == 1, "the trial failed"
    assert (await alpha.truth())["requests"] == before + 1
    assert engine.state == "ejected"
    assert engine.outlier.ejected_until - time.monotonic() > 40, "for longer than before"

    await alpha.change(fault=None)
    engine.outlier.ejected_until = time.monotonic()
    assert all(await many(gateway, clients=4, each=2))
    assert (engine.state, engine.outlier.is_ejected) == ("ready", False)


async def test_a_trial_that_fails_before_its_first_byte_harms_nobody(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    await alpha.change(fault="break:1")
    await many(gateway, clients=2, each=12)
    engine = gateway.engine("alpha")
    await alpha.change(fault="status:500")
    engine.outlier.ejected_until = time.monotonic()
    for _ in range(4):
        assert (await gateway.chat()).status_code == 200
    assert (engine.state, engine.outlier.on_trial) == ("ejected", False)
    assert engine.outlier.ejected_until - time.monotonic() > 40


async def test_a_client_that_leaves_during_the_trial_decides_nothing(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    await alpha.change(fault="break:1")
    await many(gateway, clients=2, each=12)
    engine = gateway.engine("alpha")
    await alpha.change(fault=None)
    engine.outlier.ejected_until = time.monotonic()
    request = asyncio.create_task(gateway.chat(stream=True, mock={"interval_s": 0.05, "tokens": 1000}))
    await alpha.wait_for(lambda truth: truth["running"] == 1)
    request.cancel()
    await until(lambda: engine.inflight == 0)
    assert (engine.state, engine.outlier.on_trial, engine.is_due_for_trial) == ("ejected", False, True)


async def test_many_requests_that_break_together_are_one_strike(serve: Serve) -> None:
    """An engine that is killed under load and back at once has not failed fourteen times."""
    start = asyncio.Event()

    async def break_once(wire: Wire, body: bytes) -> None:
        if b"quick" in body:
            await wire.send(EVENT_STREAM + chunk(delta("a") + DONE) + chunk(b""))
            return
        await wire.send(EVENT_STREAM + chunk(delta("a")))
        await start.wait()
        wire.reset()

    async with raw_engine(break_once, name="a") as first, raw_engine(break_once, name="b") as second:
        gateway = await serve(first, second)
        streams = [asyncio.create_task(gateway.chat(stream=True)) for _ in range(14)]
        await until(lambda: sum(engine.inflight for engine in gateway.fleet.engines) == 14)
        await asyncio.sleep(0.1)
        start.set()
        assert all(b"engine_reset" in answer.content for answer in await asyncio.gather(*streams))
        assert [engine.outlier.failures for engine in gateway.fleet.engines] == [1, 1]
        assert [engine.state for engine in gateway.fleet.engines] == ["ready", "ready"]
        for _ in range(6):
            assert b"[DONE]" in (await gateway.chat(stream=True, quick=1)).content
        assert [engine.outlier.failures for engine in gateway.fleet.engines] == [0, 0]


async def test_the_one_that_came_back_serves_when_the_other_dies(serve: Serve, beta: Mock) -> None:
    with mock_process() as (process, port):
        async with Mock.fresh("doomed", port) as doomed:
            gateway = await serve(doomed, beta)
            await beta.change(fault="break:1")
            await many(gateway, clients=6, each=6)
            assert gateway.engine("beta").state == "ejected"
            await beta.change(fault=None)
            process.kill()
            process.wait()
            await until(lambda: gateway.engine("doomed").state == "down")
            answer = await gateway.chat(stream=True)
            assert stream_text(answer.content) == words(16), "ejected, and used all the same: there is nobody else"
            assert gateway.engine("beta").ready


async def test_an_engine_that_comes_back_is_ready_with_its_first_passed_probe(serve: Serve) -> None:
    with mock_process() as (process, port):
        async with Mock.fresh("only", port) as only:
            gateway = await serve(only)
            request = asyncio.create_task(gateway.chat(stream=True, mock={"interval_s": 0.05, "tokens": 1000}))
            await only.wait_for(lambda truth: truth["running"] == 1)
            process.kill()
            process.wait()
            assert b"engine_reset" in (await request).content
            await until(lambda: gateway.engine("only").state == "down")
    with mock_process("--port", str(port)):
        await until(lambda: gateway.engine("only").ready)
        assert (await gateway.chat()).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_requests_without_a_byte_leave_an_engine_that_hangs(
    serve: Serve, alpha: Mock, beta: Mock, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """By the engine's own progress, not by a limit that a long answer would meet too."""
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", 0.3)
    gateway = await serve(alpha, beta, ttft_timeout=60, total_timeout=90)
    gateway.fleet.budget.try_acquire = lambda: False  # type: ignore[method-assign]
    await alpha.change(fault="hang")
    requests = [asyncio.create_task(gateway.chat(stream=stream)) for _ in range(8)]
    await alpha.wait_for(lambda truth: truth["running"] >= 3)
    await alpha.change(path_faults={"/health": "hang"}, probe_fault="hang")
    answers = await asyncio.wait_for(asyncio.gather(*requests), 30)
    assert {answer.status_code for answer in answers} == {200}
    assert gateway.engine("alpha").state == "ejected"
    assert nonzero_samples(gateway.metrics.engine_requests)[("alpha", "timeout")] >= 3


class Generating(RawEngine):
    """An engine that works on one long plain answer: its counters rise, and its probe waits."""

    steps = 0

    def _page(self, head: bytes, body: bytes) -> bytes | None:
        if b"/metrics" in head:
            self.steps += 1
            return plain(b"vllm:iteration_tokens_total_count %d\n" % self.steps)
        return None if self.bodies and body else super()._page(head, body)


async def test_a_long_plain_answer_is_not_cut_while_its_engine_gets_on(serve: Serve) -> None:
    async def slowly(wire: Wire, body: bytes) -> None:
        if b"max_tokens" in body:
            await wire.gone()  # the probe, behind the answer
            return
        await asyncio.sleep(3)
        await wire.send(plain(b'{"choices":[]}'))

    engine = Generating(slowly, name="raw", kind="vllm")
    async with listening(engine.serve) as (engine.port, _):
        gateway = await serve(engine, ttft_timeout=0.3, probe_interval=0.1, probe_timeout=0.2, total_timeout=60)
        assert (await gateway.chat()).status_code == 200
        assert gateway.engine("raw").ready
        assert nonzero_samples(gateway.metrics.engine_ejections) == {}


async def test_all_who_wait_for_a_lone_engine_that_hangs_get_their_answer(
    serve: Serve, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", 0.3)
    gateway = await serve(alpha, ttft_timeout=60, total_timeout=90)
    await alpha.change(fault="hang")
    request = asyncio.create_task(gateway.chat())
    await alpha.wait_for(lambda truth: truth["running"] == 1)
    await alpha.change(path_faults={"/health": "hang"}, probe_fault="hang")
    answer = await asyncio.wait_for(request, 30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "engine_stalled")
    await gateway.ended("timeout", 504, stream=False)


async def test_a_host_that_accepts_nothing_costs_no_request(
    serve: Serve, alpha: Mock, beta: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the first ones nor, once it is known, any more time."""
    gateway = await serve(alpha, beta, discovery_interval=3600)
    gateway.fleet.budget.try_acquire = lambda: False  # type: ignore[method-assign]
    upstream = gateway.engine("alpha").upstream
    await upstream.__aexit__(None, None, None)

    async def silence(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    real = asyncio.get_running_loop().create_connection

    async def connect(factory: Any, host: str, port: int, **more: Any) -> Any:
        return await (silence() if port == alpha.port else real(factory, host, port, **more))

    monkeypatch.setattr(upstream, "_connect_timeout", 0.2)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
    answers = await asyncio.gather(*(gateway.chat() for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert gateway.engine("alpha").state == "down"
    assert nonzero_samples(gateway.metrics.timeouts) == {}


async def test_every_engine_that_is_gone_is_passed_once(serve: Serve, alpha: Mock) -> None:
    """Not only the first: three dead ones beside a good one cost nobody an answer."""
    gone = []
    for name in "abc":
        with mock_process() as (_, port):
            async with Mock.fresh(name, port) as mock:
                gone.append(mock)
    gateway = await serve(*gone, alpha, discovery_interval=3600)
    for engine in gateway.fleet.engines:
        engine.models = ("mock",)
        engine.set_state("ready")
    answer = await gateway.chat()
    assert answer.status_code == 200
    await gateway.settled(1)
    assert gateway.requests()[0]["attempts"] == 4


async def test_own_descriptors_are_not_an_engines_fault(
    serve: Serve, alpha: Mock, beta: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await serve(alpha, beta, discovery_interval=3600)
    for engine in gateway.fleet.engines:
        await engine.upstream.__aexit__(None, None, None)
    real = asyncio.get_running_loop().create_connection
    engines = {alpha.port, beta.port}

    async def connect(factory: Any, host: str, port: int, **more: Any) -> Any:
        if port in engines:
            raise OSError(errno.EMFILE, "Too many open files")
        return await real(factory, host, port, **more)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
    answer = await gateway.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_overloaded")
    assert answer.headers["retry-after"] == "1"
    await gateway.ended("internal_error", 503, stream=False)
    assert [engine.state for engine in gateway.fleet.engines] == ["ready", "ready"]
    assert sum(nonzero_samples(gateway.metrics.engine_requests).values()) == 1, "another engine would fare no better"

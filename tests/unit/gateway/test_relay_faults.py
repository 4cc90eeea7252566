"""Faults of engines that a relay meets: what the client gets, and what is counted."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock, mock_process
from tests.support.in_process.server import TEXT, Gateway, events, nonzero_samples, stream_text, until, words
from tests.support.in_process.wire import EVENT_STREAM, Wire, chunk, delta, raw_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
BEFORE_THE_FIRST_BYTE = {
    "reset": ("reset", "engine_reset", 502),
    "status:500": ("broken", "engine_broken", 502),
    "status:503": ("busy", "engine_overloaded", 503),
    "status:429": ("busy", "rate_limit_exceeded", 429),
    "html": ("broken", "engine_broken", 502),
    "garbage": ("broken", "engine_broken", 502),
}


def _last_event(body: bytes) -> dict[str, Any]:
    """The error that ends a broken stream, which has no [DONE]."""
    assert b"[DONE]" not in body
    content: dict[str, Any] = json.loads(events(body)[-1])["error"]
    assert set(content) == {"message", "type", "param", "code"}
    return content


@BOTH
async def test_an_engine_killed_before_the_first_byte_costs_nothing(serve: Serve, beta: Mock, stream: bool) -> None:
    with mock_process() as (process, port):
        async with Mock.fresh("doomed", port) as doomed:
            gateway = await serve(doomed, beta)
            await doomed.change(ttft_s=30)
            request = asyncio.create_task(gateway.chat(stream=stream))
            await doomed.wait_for(lambda truth: truth["running"] == 1)
            process.kill()
            answer = await request
    assert answer.status_code == 200
    await gateway.ended("ok", 200, stream=stream)
    results = nonzero_samples(gateway.metrics.engine_requests)
    assert results.pop(("beta", "ok")) == 1
    # Over a connection that was used before it is tried once more, and then nobody listens.
    assert results in ({("doomed", "reset"): 1}, {("doomed", "unreachable"): 1})
    assert nonzero_samples(gateway.metrics.engine_retries) == {("doomed",): 1}
    line = gateway.requests()[0]
    assert (line["engine"], line["attempts"], line["error_code"]) == ("beta", 2, None)
    assert (await beta.truth())["requests"] == 1


@BOTH
async def test_an_engine_that_is_gone_refuses_and_is_down_at_once(serve: Serve, beta: Mock, stream: bool) -> None:
    with mock_process() as (process, port):
        async with Mock.fresh("doomed", port) as doomed:
            gateway = await serve(doomed, beta, discovery_interval=60)
            process.kill()
            process.wait()
    for _ in range(3):
        assert (await gateway.chat(stream=stream)).status_code == 200
    await gateway.settled(3)
    assert gateway.engine("doomed").state == "down"
    assert nonzero_samples(gateway.metrics.engine_requests) == {("doomed", "unreachable"): 1, ("beta", "ok"): 3}


@pytest.mark.parametrize("events_before", [1, 3])
async def test_an_engine_killed_mid_stream(serve: Serve, alpha: Mock, beta: Mock, events_before: int) -> None:
    gateway = await serve(alpha, beta)
    answer = await gateway.chat(stream=True, mock={"fault": f"break:{events_before}"})
    assert answer.status_code == 200
    error = _last_event(answer.content)
    assert (error["type"], error["code"], error["param"]) == ("engine_error", "engine_reset", None)
    assert stream_text(answer.content) == words(events_before)
    await gateway.ended("stream_error", 200, stream=True)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "reset"): 1}
    assert nonzero_samples(gateway.metrics.wasted_tokens) == {("mock", "stream_error"): events_before}
    assert nonzero_samples(gateway.metrics.engine_retries) == {}
    assert (await beta.truth())["requests"] == 0, "nothing is replayed after the first byte"


@pytest.mark.parametrize("fault", ["hang", "headers_then_hang", "stall:0"])
async def test_a_hang_before_the_first_event_moves_on(serve: Serve, alpha: Mock, beta: Mock, fault: str) -> None:
    gateway = await serve(alpha, beta, ttft_timeout=1)
    await alpha.change(fault=fault)
    answer = await gateway.chat(stream=True)
    assert stream_text(answer.content) == words(16)
    await gateway.ended("ok", 200, stream=True)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "timeout"): 1, ("beta", "ok"): 1}
    assert (await alpha.wait_for(lambda truth: truth["running"] == 0))["cancelled"] == 1


@pytest.mark.timing
@pytest.mark.parametrize("engines", [1, 2])
async def test_else_504(serve: Serve, alpha: Mock, beta: Mock, engines: int) -> None:
    gateway = await serve(*(alpha, beta)[:engines], ttft_timeout=1)
    begun = time.monotonic()
    answer = await gateway.chat(stream=True, mock={"fault": "hang"})
    assert 0.9 * engines < time.monotonic() - begun < 4
    assert answer.status_code == 504
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("timeout_error", "engine_timeout")
    await gateway.ended("timeout", 504, stream=True)
    assert nonzero_samples(gateway.metrics.timeouts) == {("ttft",): 1}
    assert gateway.requests()[0]["attempts"] == engines
    assert gateway.requests()[0]["ttft_ms"] is None


async def test_a_plain_request_that_alone_hangs_ends_by_the_total_time(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, total_timeout=1)
    answer = await gateway.chat(mock={"fault": "hang"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "engine_timeout")
    await gateway.ended("timeout", 504, stream=False)
    assert nonzero_samples(gateway.metrics.timeouts) == {("total",): 1}
    assert (await alpha.wait_for(lambda truth: truth["running"] == 0))["cancelled"] == 1


async def test_a_hang_mid_stream(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta, idle_timeout=1)
    answer = await gateway.chat(stream=True, mock={"fault": "stall:2"})
    error = _last_event(answer.content)
    assert (error["type"], error["code"]) == ("timeout_error", "engine_timeout")
    assert stream_text(answer.content) == words(2)
    await gateway.ended("timeout", 200, stream=True)
    assert nonzero_samples(gateway.metrics.timeouts) == {("idle",): 1}
    assert (await alpha.wait_for(lambda truth: truth["running"] == 0))["cancelled"] == 1
    assert (await beta.truth())["requests"] == 0


async def test_keep_alive_comments_are_no_events(serve: Serve) -> None:
    async def pings(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(delta("a")))
        while True:
            await wire.send(chunk(b": ping\n\n"))
            await asyncio.sleep(0.05)

    async with raw_engine(pings) as engine:
        gateway = await serve(engine, idle_timeout=1, total_timeout=4)
        answer = await gateway.chat(stream=True)
        assert _last_event(answer.content)["code"] == "engine_timeout"
        await gateway.ended("timeout", 200, stream=True)
        assert nonzero_samples(gateway.metrics.timeouts) == {("idle",): 1}
        assert nonzero_samples(gateway.metrics.wasted_tokens) == {("mock", "timeout"): 1}


@BOTH
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_BYTE)
async def test_an_error_of_the_engine_moves_on_to_another_engine(
    serve: Serve, alpha: Mock, beta: Mock, fault: str, stream: bool
) -> None:
    gateway = await serve(alpha, beta)
    await alpha.change(fault=fault)
    answer = await gateway.chat(stream=stream)
    assert answer.status_code == 200
    text = stream_text(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == words(16)
    await gateway.ended("ok", 200, stream=stream)
    result, *_ = BEFORE_THE_FIRST_BYTE[fault]
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", result): 1, ("beta", "ok"): 1}
    assert nonzero_samples(gateway.metrics.engine_retries) == {("alpha",): 1}


@BOTH
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_BYTE)
async def test_an_error_of_the_engine_with_no_other_engine(
    serve: Serve, alpha: Mock, monkeypatch: pytest.MonkeyPatch, fault: str, stream: bool
) -> None:
    # The probe's connection is there to be reused: no later poll has it at that moment, and none is too old.
    monkeypatch.setattr("gateway.upstream.client._IDLE_LIMIT_S", 3600.0)
    gateway = await serve(alpha, discovery_interval=60)
    answer = await gateway.chat(stream=stream, mock={"fault": fault})
    result, code, status = BEFORE_THE_FIRST_BYTE[fault]
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    await gateway.ended("rate_limited" if status == 429 else "engine_error", status, stream=stream)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", result): 1}
    assert gateway.requests()[0]["error_code"] == code
    # A reused connection that breaks before a byte is tried anew.
    assert (await alpha.truth())["requests"] == (2 if fault == "reset" else 1)


async def test_the_first_event_is_checked_before_the_commit(serve: Serve, beta: Mock) -> None:
    async def comment_then_failure(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(b": ping\n\n"))
        await asyncio.sleep(0.1)
        await wire.send(chunk(b'data: {"error": {"message": "out of memory"}}\n\n') + chunk(b""))

    async with raw_engine(comment_then_failure) as engine:
        gateway = await serve(engine, beta)
        answer = await gateway.chat(stream=True)
        assert stream_text(answer.content) == words(16)
        await gateway.ended("ok", 200, stream=True)


@pytest.mark.parametrize("first", [0, 3])
async def test_a_stream_without_done_is_a_failure(serve: Serve, alpha: Mock, first: int) -> None:
    gateway = await serve(alpha)
    answer = await gateway.chat(stream=True, mock={"fault": f"end_without_done:{first}"})
    if first:
        assert (_last_event(answer.content)["code"], stream_text(answer.content)) == ("engine_broken", words(first))
        await gateway.ended("stream_error", 200, stream=True)
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_broken")
        await gateway.ended("engine_error", 502, stream=True)
    assert nonzero_samples(gateway.metrics.tokens) == {}


@pytest.mark.parametrize("after", [1, 3])
async def test_an_error_event_ends_the_stream_as_an_error(serve: Serve, alpha: Mock, after: int) -> None:
    """vLLM sends its error and [DONE] in one go: what the client sees must still be the error, without [DONE]."""
    gateway = await serve(alpha)
    answer = await gateway.chat(stream=True, mock={"fault": f"error_event:{after}", "interval_s": 0.05})
    assert stream_text(answer.content) == words(after)
    assert _last_event(answer.content)["code"] == "engine_broken"
    await gateway.ended("stream_error", 200, stream=True)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "broken"): 1}


@BOTH
@pytest.mark.parametrize("fault", ["truncated", "break:2", "end_without_done:2"])
async def test_half_a_plain_answer_is_never_passed_on(serve: Serve, alpha: Mock, fault: str, stream: bool) -> None:
    gateway = await serve(alpha)
    answer = await gateway.chat(stream=stream, mock={"fault": fault, "tokens": 200})
    if not stream:
        assert answer.status_code == 502
        await gateway.ended("engine_error", 502, stream=False)
    elif fault == "truncated":  # all that matters had come, [DONE] included
        assert stream_text(answer.content) == words(200)
        await gateway.ended("ok", 200, stream=True)
    else:
        _last_event(answer.content)
        await gateway.ended("stream_error", 200, stream=True)


@BOTH
async def test_a_body_that_trickles_in_is_whole(serve: Serve, alpha: Mock, stream: bool) -> None:
    gateway = await serve(alpha)
    answer = await gateway.chat(stream=stream, mock={"fault": "slow_body", "interval_s": 0.001, "tokens": 5})
    text = stream_text(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == words(5)
    await gateway.ended("ok", 200, stream=stream)


async def test_the_total_time_ends_a_stream_that_goes_on(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, total_timeout=1)
    answer = await gateway.chat(stream=True, mock={"interval_s": 0.05, "tokens": 1000})
    assert _last_event(answer.content)["code"] == "engine_timeout"
    await gateway.ended("timeout", 200, stream=True)
    assert nonzero_samples(gateway.metrics.timeouts) == {("total",): 1}
    await alpha.wait_for(lambda truth: truth["running"] == 0)


@BOTH
async def test_a_prompt_over_the_context(serve: Serve, alpha: Mock, beta: Mock, stream: bool) -> None:
    gateway = await serve(alpha, beta)
    answer = await gateway.chat(stream=stream, mock={"fault": "context_length"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (
        *(400, "context_length_exceeded", "invalid_request_error"),
    )
    assert "8192" in error["message"], "the engine's own words are kept"
    await gateway.ended("client_error", 400, stream=stream)
    assert nonzero_samples(gateway.metrics.engine_requests) == {("alpha", "rejected"): 1}
    assert (await beta.truth())["requests"] == 0


async def test_ejects_nobody(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta)
    for _ in range(12):
        assert (await gateway.chat(mock={"fault": "context_length"})).status_code == 400
    assert [engine.state for engine in gateway.fleet.engines] == ["ready", "ready"]
    assert nonzero_samples(gateway.metrics.engine_ejections) == {}


async def test_a_stream_that_never_ends_its_http_body_is_whole_at_done(serve: Serve) -> None:
    async def done_and_no_more(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(delta("a") + b"data: [DONE]\n\n"))
        await wire.gone()

    async with raw_engine(done_and_no_more) as engine:
        gateway = await serve(engine)
        answer = await asyncio.wait_for(gateway.chat(stream=True), 1)
        assert stream_text(answer.content) == "a"
        await gateway.ended("ok", 200, stream=True)
        await until(lambda: gateway.engine("raw").inflight == 0)


async def test_completions_break_as_chats_do(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    answer = await gateway.post(TEXT, model="mock", prompt="one", stream=True, mock={"fault": "break:2"})
    assert _last_event(answer.content)["code"] == "engine_reset"
    await gateway.ended("stream_error", 200, stream=True, path=TEXT)

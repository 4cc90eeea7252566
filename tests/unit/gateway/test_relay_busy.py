"""An engine that is full, and one failure told in several places: what the client gets, and who is blamed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import Gateway, events, nonzero_samples, stream_text, words
from tests.support.in_process.wire import DONE, EVENT_STREAM, Wire, chunk, delta, event, plain, raw_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]
    Script = Callable[[Wire, bytes], Awaitable[None]]

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
KINDS = pytest.mark.parametrize("kind", ["vllm", "llamacpp"])
FULL = {
    429: ("429 Too Many Requests", "rate_limit_error", "rate_limit_exceeded", "rate_limited"),
    503: ("503 Service Unavailable", "service_unavailable", "engine_overloaded", "engine_error"),
}


def always(answer: bytes) -> Script:
    async def script(wire: Wire, _: bytes) -> None:
        await wire.send(answer)

    return script


def full(status: int, retry_after: str | None = "7") -> bytes:
    extra = "" if retry_after is None else f"retry-after: {retry_after}\r\n"
    return plain(b'{"error":{"message":"the queue is full"}}', status=FULL[status][0], extra=extra)


@BOTH
@KINDS
@pytest.mark.parametrize("status", FULL)
async def test_a_full_engines_advice_reaches_the_client(serve: Serve, status: int, kind: str, stream: bool) -> None:
    async with raw_engine(always(full(status)), kind=kind) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=stream)
        _, type_, code, outcome = FULL[status]
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (status, type_, code)
        assert "the queue is full" in error["message"]
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("7", "true")
        await gateway.ended(outcome, status, stream=stream)
        assert nonzero_samples(gateway.metrics.engine_requests) == {("raw", "busy"): 1}
        assert gateway.engine("raw").ready, "it works"


async def test_a_full_engine_without_advice_gets_none_made_up(serve: Serve) -> None:
    async with raw_engine(always(full(503, None))) as engine:
        answer = await (await serve(engine)).chat()
        assert (answer.status_code, "retry-after" in answer.headers) == (503, False)


@BOTH
@pytest.mark.parametrize("status", FULL)
async def test_another_engine_is_asked_once_whatever_the_budget_says(
    serve: Serve, beta: Mock, status: int, stream: bool
) -> None:
    async with raw_engine(always(full(status))) as engine:
        gateway = await serve(engine, beta)
        gateway.fleet.budget.try_acquire = lambda: False  # type: ignore[method-assign]
        answer = await gateway.chat(stream=stream)
        assert answer.status_code == 200
        await gateway.ended("ok", 200, stream=stream)
        assert nonzero_samples(gateway.metrics.engine_requests) == {("raw", "busy"): 1, ("beta", "ok"): 1}
        for _ in range(5):
            assert (await gateway.chat()).status_code == 200
        assert nonzero_samples(gateway.metrics.engine_requests)[("raw", "busy")] == 1, "it is asked last for a while"
        assert nonzero_samples(gateway.metrics.engine_ejections) == {}


async def test_all_engines_full_is_told_with_the_last_ones_advice(serve: Serve) -> None:
    async with (
        raw_engine(always(full(429, "30")), name="a") as first,
        raw_engine(always(full(503, "5")), name="b") as second,
        raw_engine(always(full(503, "5")), name="c") as third,
    ):
        gateway = await serve(first, second, third)
        answer = await gateway.chat()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert [len(engine.bodies) for engine in (first, second, third)] == [1, 1, 0]


CONTEXT = {"message": "maximum context length is 16 tokens", "code": 400}
WHERE = {
    "status": plain(json.dumps({"error": CONTEXT}).encode(), status="400 Bad Request"),
    "500": plain(json.dumps({"error": CONTEXT}).encode(), status="500 Internal Server Error"),
    "200": plain(json.dumps({"error": CONTEXT}).encode()),
    "flat 200": plain(json.dumps({"object": "error", **CONTEXT}).encode()),
    "first event": EVENT_STREAM + chunk(event({"error": CONTEXT}) + DONE) + chunk(b""),
    "behind the role": EVENT_STREAM
    + chunk(event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}) + event({"error": CONTEXT}))
    + chunk(b""),
}


@BOTH
@KINDS
@pytest.mark.parametrize("where", WHERE)
async def test_a_prompt_that_does_not_fit_is_a_400_wherever_the_engine_says_so(
    serve: Serve, beta: Mock, where: str, kind: str, stream: bool
) -> None:
    stream |= kind == "vllm" and WHERE[where].startswith(EVENT_STREAM)  # only a stream has events
    async with raw_engine(always(WHERE[where]), kind=kind) as engine:
        gateway = await serve(engine, beta)
        answer = await gateway.chat(stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
        assert answer.headers["x-should-retry"] == "false"
        await gateway.ended("client_error", 400, stream=stream)
        assert nonzero_samples(gateway.metrics.engine_requests) == {("raw", "rejected"): 1}
        assert (await beta.truth())["requests"] == 0


async def test_a_later_event_that_blames_the_request_is_the_clients_error(serve: Serve) -> None:
    later = EVENT_STREAM + chunk(delta("a")) + chunk(event({"error": CONTEXT}) + DONE) + chunk(b"")
    async with raw_engine(always(later)) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=True)
        assert said_before_the_error(answer.content) == "a"
        assert json.loads(events(answer.content)[-1])["error"]["code"] == "context_length_exceeded"
        await gateway.ended("client_error", 200, stream=True)
        assert nonzero_samples(gateway.metrics.engine_requests) == {("raw", "rejected"): 1}


def said_before_the_error(body: bytes) -> str:
    *good, error = events(body)
    assert "error" in json.loads(error)
    return stream_text(b"".join(f"data: {event}\n\n".encode() for event in good))


@KINDS
@BOTH
async def test_what_the_request_causes_is_a_400_and_nobodys_fault(
    serve: Serve, beta: Mock, kind: str, stream: bool
) -> None:
    fault = {"code": 500, "message": "Failed to parse tools: Missing tool type: 1; tools = [1]", "type": "server_error"}
    answer_ = plain(json.dumps({"error": fault}).encode(), status="500 Internal Server Error")
    async with raw_engine(always(answer_), kind=kind) as engine:
        gateway = await serve(engine, beta)
        for _ in range(12):
            assert (await gateway.chat(stream=stream)).status_code in {200, 400}
        assert (await beta.truth())["requests"] == 6, "every second request went there, and none a second time"
        assert [engine.state for engine in gateway.fleet.engines] == ["ready", "ready"]


@BOTH
async def test_an_error_that_is_null_is_no_error(serve: Serve, stream: bool) -> None:
    choice = {"index": 0, "delta" if stream else "message": {"content": "hi"}}
    content = {"choices": [choice], "error": None}
    answer_ = (
        EVENT_STREAM + chunk(event(content) * 2 + DONE) + chunk(b"") if stream else plain(json.dumps(content).encode())
    )
    async with raw_engine(always(answer_)) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=stream)
        assert answer.status_code == 200
        await gateway.ended("ok", 200, stream=stream)


async def test_an_unknown_500_of_a_lone_engine_makes_it_prove_itself_and_blames_nobody(
    serve: Serve, alpha: Mock
) -> None:
    gateway = await serve(alpha)
    probes = (await alpha.truth())["probes"]["requests"]
    for _ in range(8):
        answer = await gateway.chat(mock={"fault": "status:500"})
        assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    await alpha.wait_for(lambda truth: truth["probes"]["requests"] > probes)
    assert (gateway.engine("alpha").state, gateway.engine("alpha").outlier.failures) == ("ready", 0)
    assert (await gateway.chat()).status_code == 200


@pytest.mark.parametrize("status", ["302 Found", "204 No Content", "304 Not Modified", "206 Partial Content"])
async def test_a_middle_boxs_other_answers_are_engine_errors(serve: Serve, status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nlocation: http://login\r\ncontent-length: 0\r\n\r\n".encode()
    async with raw_engine(always(head)) as engine:
        answer = await (await serve(engine)).chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_broken")


@BOTH
async def test_a_compressed_answer_that_nobody_asked_for_is_not_passed_on(serve: Serve, stream: bool) -> None:
    async with raw_engine(always(plain(b"\x1f\x8b", extra="content-encoding: gzip\r\n"))) as engine:
        answer = await (await serve(engine)).chat(stream=stream)
        assert (answer.status_code, "gzip" in answer.json()["error"]["message"]) == (502, True)


@BOTH
async def test_an_error_of_any_length_is_read_as_far_as_it_is_wanted(serve: Serve, stream: bool) -> None:
    body = b"x" * 3_000_000
    async with raw_engine(always(plain(body, status="500 Internal Server Error"))) as engine:
        answer = await (await serve(engine)).chat(stream=stream)
        assert answer.status_code == 502
        assert len(answer.content) < 1000


async def test_the_trace_of_a_request_goes_on_to_the_engine(serve: Serve) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1, b=2"}
    async with raw_engine(always(plain(b'{"choices":[]}'))) as engine:
        gateway = await serve(engine)
        await gateway.post("/v1/completions", model="mock", prompt="x", headers=trace)
        await gateway.post("/v1/completions", model="mock", prompt="x", headers={"traceparent": "a" * 600})
    first, second = (head.decode() for head in engine.heads)
    assert all(f"{name}: {value}\r\n" in first for name, value in trace.items())
    assert "trace" not in second


@BOTH
async def test_the_answer_of_an_engine_that_says_continue_first_is_its_own(serve: Serve, stream: bool) -> None:
    """And the next client does not get it."""
    number = 0

    async def slowly(wire: Wire, _: bytes) -> None:
        nonlocal number
        number += 1
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        text = f"answer {number}"
        if stream:
            await wire.send(EVENT_STREAM + chunk(delta(text) + DONE) + chunk(b""))
        else:
            await wire.send(plain(json.dumps({"choices": [{"message": {"content": text}}]}).encode()))

    async with raw_engine(slowly) as engine:
        gateway = await serve(engine)
        for wanted in range(1, 5):
            answer = await gateway.chat(stream=stream)
            text = stream_text(answer.content) if stream else text_of(answer.json())
            assert text == f"answer {wanted}"


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


async def test_words_are_words(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha)
    assert stream_text((await gateway.chat(stream=True)).content) == words(16)

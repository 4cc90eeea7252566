"""A request that goes well: bytes untouched, usage counted, hidden or kept, plain answers and streams."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import (
    CHAT,
    EMBEDDINGS,
    TEXT,
    Gateway,
    chat,
    events,
    nonzero_samples,
    stream_text,
    words,
)
from tests.support.in_process.wire import (
    DONE,
    EVENT_STREAM,
    RawEngine,
    Wire,
    chunk,
    delta,
    dial,
    event,
    plain,
    post,
    raw_engine,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}


async def _reply(wire: Wire, _: bytes) -> None:
    await wire.send(plain(b'{"choices":[], "usage":null}'))


async def _stream(wire: Wire, _: bytes) -> None:
    await wire.send(EVENT_STREAM + chunk(delta("a") + DONE) + chunk(b""))


async def test_a_plain_chat(gateway: Gateway, alpha: Mock) -> None:
    answer = await gateway.chat(mock={"tokens": 5, "prompt_tokens": 9, "cached_tokens": 4})
    assert answer.json()["choices"][0]["message"]["content"] == words(5)
    assert answer.headers["content-type"] == "application/json"
    await gateway.ended("ok", 200, stream=False)
    metrics = gateway.metrics
    assert nonzero_samples(metrics.tokens) == {("mock", "input"): 9, ("mock", "output"): 5, ("mock", "cached_input"): 4}
    assert nonzero_samples(metrics.key_requests) == {("tester", "ok"): 1}
    assert nonzero_samples(metrics.key_tokens) == {("tester", "input"): 9, ("tester", "output"): 5}
    assert nonzero_samples(metrics.request_duration) == {(CHAT, "mock", "false"): 1}
    assert nonzero_samples(metrics.time_to_first_token) == {}
    assert nonzero_samples(metrics.engine_requests) == {("alpha", "ok"): 1}
    line = gateway.requests()[0]
    assert (line["input_tokens"], line["output_tokens"], line["cached_tokens"]) == (9, 5, 4)
    assert (line["engine"], line["key"], line["attempts"], line["ttft_ms"]) == ("alpha", "tester", 1, None)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (await alpha.truth())["last_headers"]["x-request-id"] == line["request_id"]


async def test_a_streamed_chat_hides_the_usage_that_nobody_asked_for(gateway: Gateway, alpha: Mock) -> None:
    answer = await gateway.chat(stream=True, mock={"tokens": 5})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert stream_text(answer.content) == words(5)
    assert events(answer.content)[-1] == "[DONE]"
    assert b'"usage"' not in answer.content
    await gateway.ended("ok", 200, stream=True)
    assert nonzero_samples(gateway.metrics.tokens) == {("mock", "input"): 3, ("mock", "output"): 5}
    assert nonzero_samples(gateway.metrics.time_to_first_token) == {("mock",): 1}
    assert nonzero_samples(gateway.metrics.time_per_output_token) == {("mock",): 1}
    assert nonzero_samples(gateway.metrics.wasted_tokens) == {}
    assert (await alpha.truth())["last_body"]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("path", [CHAT, TEXT])
async def test_a_stream_keeps_the_usage_that_was_asked_for(gateway: Gateway, path: str) -> None:
    fields: dict[str, Any] = {"model": "mock", "stream": True, "stream_options": {"include_usage": True}}
    prompt = {"messages": chat()["messages"]} if path == CHAT else {"prompt": "one two three"}
    answer = await gateway.http.post(path, json={**fields, **prompt})
    *_, usage, done = events(answer.content)
    assert done == "[DONE]"
    assert json.loads(usage)["usage"]["completion_tokens"] == 16
    await gateway.ended("ok", 200, stream=True, path=path)


async def test_embeddings(gateway: Gateway) -> None:
    answer = await gateway.post(EMBEDDINGS, model="mock", input=["one two", "three"], stream=True)
    assert [len(row["embedding"]) for row in answer.json()["data"]] == [8, 8]
    await gateway.ended("ok", 200, stream=False, path=EMBEDDINGS)
    assert nonzero_samples(gateway.metrics.tokens) == {("mock", "input"): 3}


async def test_unknown_fields_pass_byte_for_byte(serve: Serve) -> None:
    odd = b'{ "model" : "mock","messages":[{"role":"user","content":"\\u00e9\xed\x95\x9c \\/"}], "x":1.0e2,'
    odd += b'"seed":99999999999999999999999, "x":[1,  2],\n"deep":{"a":{"b":null}} }\n'
    async with raw_engine(_reply) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post(odd))
            await client.message()
    assert engine.bodies == [odd]


async def test_a_streams_request_is_the_clients_own_bytes_and_the_wish_for_usage(serve: Serve) -> None:
    odd = b'{"seed":99999999999999999999999, "stream" :true,"model":"mock","messages":[{"role":"user"}] }\n '
    async with raw_engine(_stream) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post(odd, "connection: close"))
            await client.rest()
    assert engine.bodies[0].startswith(odd.rstrip()[:-1].rstrip())
    assert json.loads(engine.bodies[0])["stream_options"] == {"include_usage": True}


async def _both_bodies(serve: Serve, kind: str, fields: bytes) -> tuple[bytes, RawEngine]:
    async with raw_engine(_stream, kind=kind) as engine:
        gateway = await serve(engine)
        async with dial(gateway.port) as client:
            await client.send(post(b'{"model":"mock","messages":[{"role":"user"}],%b}' % fields, "connection: close"))
            return await client.rest(), engine


REWRITTEN = {"vllm": b'"stream":true,"stream_options":{},', "llamacpp": b""}


@pytest.mark.parametrize("kind", REWRITTEN)
async def test_big_integers_survive_where_the_body_must_be_written_again(serve: Serve, kind: str) -> None:
    _, engine = await _both_bodies(serve, kind, REWRITTEN[kind] + b'"seed":99999999999999999999999')
    assert json.loads(engine.bodies[0])["seed"] == 99999999999999999999999
    assert json.loads(engine.bodies[0])["stream_options"]["include_usage"] is True


@pytest.mark.parametrize("depth", [200, 300, 900])
@pytest.mark.parametrize("kind", REWRITTEN)
async def test_deep_nesting_where_the_body_must_be_written_again(serve: Serve, kind: str, depth: int) -> None:
    deep = REWRITTEN[kind] + b'"deep":%b%b' % (b"[" * depth, b"]" * depth)
    answer, engine = await _both_bodies(serve, kind, deep)
    assert answer.split(b" ")[1] in {b"200", b"400"}
    if answer.split(b" ")[1] == b"200":
        assert engine.bodies[0].count(b"[") >= depth


async def test_a_plain_answer_is_passed_on_byte_for_byte(serve: Serve) -> None:
    body = (
        b'{"usage" :{"prompt_tokens":7,"completion_tokens":2}, "id":"\\u00e9\xed\x95\x9c","big":99999999999999999 }\n'
    )

    async def reply(wire: Wire, _: bytes) -> None:
        for byte in plain(body, extra="x-engine-secret: 1\r\nset-cookie: a=b\r\n"):
            await wire.send(bytes([byte]))

    async with raw_engine(reply) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat()
        assert answer.content == body
        assert "set-cookie" not in answer.headers
        await gateway.ended("ok", 200, stream=False)
        assert nonzero_samples(gateway.metrics.tokens) == {("mock", "input"): 7, ("mock", "output"): 2}


async def test_llama_cpps_completion_usage_inside_the_last_event(serve: Serve) -> None:
    last = {"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}], "usage": USAGE, "timings": {"n": 1}}

    async def stream(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(event({"choices": [{"index": 0, "text": "a"}]})))
        await wire.send(chunk(event(last)) + chunk(DONE) + chunk(b""))

    async with raw_engine(stream, kind="llamacpp") as engine:
        gateway = await serve(engine)
        hidden = await gateway.post(TEXT, model="mock", prompt="x", stream=True)
        kept = await gateway.post(TEXT, model="mock", prompt="x", stream=True, stream_options={"include_usage": True})
    assert json.loads(events(hidden.content)[1]) == {name: last[name] for name in last if name != "usage"}
    assert json.loads(events(kept.content)[1]) == last
    assert nonzero_samples(gateway.metrics.tokens) == {
        ("mock", "input"): 14,
        ("mock", "output"): 4,
        ("mock", "cached_input"): 8,
    }


async def test_a_plain_request_reaches_llama_cpp_as_a_stream_and_comes_back_plain(serve: Serve, llama: Mock) -> None:
    gateway = await serve(llama)
    answer = await gateway.chat(stream=False, stream_options=None, mock={"tokens": 5})
    content = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert content["object"] == "chat.completion"
    assert content["choices"][0]["message"] == {"role": "assistant", "content": words(5)}
    assert content["choices"][0]["finish_reason"] == "stop"
    assert content["usage"]["completion_tokens"] == 5
    await gateway.ended("ok", 200, stream=False)
    body = (await llama.truth())["last_body"]
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


async def test_a_plain_embedding_reaches_llama_cpp_as_it_is(serve: Serve, llama: Mock) -> None:
    gateway = await serve(llama)
    assert (await gateway.post(EMBEDDINGS, model="mock", input="x")).status_code == 200
    assert "stream" not in (await llama.truth())["last_body"]


@pytest.mark.parametrize("fault", ["break:3", "stall:3", "error_event:3", "end_without_done:3", "status:500"])
async def test_an_aggregated_answer_that_breaks_moves_on(serve: Serve, llama: Mock, beta: Mock, fault: str) -> None:
    """Nothing of it has reached the client yet."""
    gateway = await serve(llama, beta, idle_timeout=1)
    await llama.change(fault=fault)
    answer = await gateway.chat()
    assert answer.json()["choices"][0]["message"]["content"] == words(16)
    await gateway.ended("ok", 200, stream=False)
    assert nonzero_samples(gateway.metrics.engine_retries) == {("llama",): 1}


@pytest.mark.parametrize("nonsense", [{"choices": [None]}, {"choices": [{"delta": None}]}, {"choices": 7}])
async def test_json_of_a_wrong_shape_is_the_engines_failure(serve: Serve, nonsense: dict[str, Any]) -> None:
    async def stream(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(event(nonsense) + DONE) + chunk(b""))

    async with raw_engine(stream, kind="llamacpp") as engine:
        gateway = await serve(engine)
        answer = await gateway.chat()
        assert answer.status_code in {200, 502}
        assert (await gateway.chat(stream=True)).status_code in {200, 502}
        assert "internal_error" not in {line["outcome"] for line in gateway.requests()}


@pytest.mark.timing
async def test_a_stream_arrives_piece_by_piece(gateway: Gateway) -> None:
    begun = time.monotonic()
    body = chat(stream=True, mock={"interval_s": 0.1, "tokens": 6})
    async with gateway.http.stream("POST", CHAT, json=body) as answer:
        arrivals = [time.monotonic() - begun async for piece in answer.aiter_bytes() if b" w00" in piece]
    assert len(arrivals) == 6
    assert arrivals[-1] - arrivals[0] > 0.3
    assert sum(after - before > 0.03 for before, after in pairwise(arrivals)) >= 4
    await gateway.ended("ok", 200, stream=True)
    line = gateway.requests()[0]
    assert line["ttft_ms"] < line["duration_ms"] - 300
    assert 490 < line["duration_ms"] < 3000  # two clocks: the engine's naps and the gateway's


async def test_the_first_token_is_timed_and_not_the_first_event(serve: Serve) -> None:
    async def role_then_token(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})))
        await asyncio.sleep(0.3)
        await wire.send(chunk(delta("a")) + chunk(DONE) + chunk(b""))

    async with raw_engine(role_then_token) as engine:
        gateway = await serve(engine)
        await gateway.chat(stream=True)
        await gateway.ended("ok", 200, stream=True)
        assert gateway.requests()[0]["ttft_ms"] >= 290


async def test_the_end_of_a_stream_does_not_wait_for_a_connection_to_linger(gateway: Gateway, alpha: Mock) -> None:
    for _ in range(20):
        await gateway.chat(stream=True)
    await gateway.settled(20)
    assert (await alpha.truth())["finished"] == 20
    assert len(gateway.engine("alpha").upstream._idle) <= 2, "connections are used again"


async def test_a_hundred_at_once(gateway: Gateway, alpha: Mock) -> None:
    wanted = [chat(stream=number % 2 == 0, mock={"tokens": 2 + number}) for number in range(100)]
    answers = await asyncio.gather(*(gateway.http.post(CHAT, json=body) for body in wanted))
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    for number, answer in enumerate(answers):
        text = stream_text(answer.content) if number % 2 == 0 else answer.json()["choices"][0]["message"]["content"]
        assert text == words(2 + number)
    await gateway.settled(100)
    assert nonzero_samples(gateway.metrics.tokens)[("mock", "output")] == sum(range(2, 102))
    assert (await alpha.truth())["finished"] == 100
    assert len({line["request_id"] for line in gateway.requests()}) == 100

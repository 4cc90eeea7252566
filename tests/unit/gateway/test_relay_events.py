"""Odd but legal event streams, relayed and aggregated alike: never 502, never an empty 200."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from openai._streaming import SSEDecoder
from tests.support.in_process.server import Gateway, nonzero_samples
from tests.support.in_process.wire import DONE, EVENT_STREAM, Wire, chunk, delta, event, raw_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

ROLE = event({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant"}}]})
HI = delta("hi")
UNFRAMED = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream\r\n\r\n"
# What an engine sends, piece by piece; each is a whole answer of "hi" or "hihi".
ODD: dict[str, tuple[list[bytes], str]] = {
    "retry first": ([b"retry: 3000\n\n", HI, DONE], "hi"),
    "an empty event first": ([b"data:\n\n", HI, DONE], "hi"),
    "an id behind the role": ([ROLE, b"id: 7\n\n", HI, DONE], "hi"),
    "a heartbeat in the middle": ([HI, b"event: ping\ndata:\n\n", HI, DONE], "hihi"),
    "null behind the first token": ([HI, b"data: null\n\n", HI, DONE], "hihi"),
    "no space": ([HI.replace(b"data: ", b"data:"), HI.replace(b"data: ", b"data:"), b"data:[DONE]\n\n"], "hihi"),
    "carriage returns": ([(HI + DONE).replace(b"\n", b"\r")], "hi"),
    "both": ([(HI + DONE).replace(b"\n", b"\r\n")], "hi"),
    "a byte order mark": ([b"\xef\xbb\xbf" + HI, DONE], "hi"),
    "fields around": ([b"id: 1\nevent: message\n" + HI, b"id: 2\n" + DONE], "hi"),
    "data in two lines": ([b'data: {"choices": [{"index": 0,\ndata: "delta": {"content": "hi"}}]}\n\n', DONE], "hi"),
    "spaced json": ([b'data: { "choices" : [ { "index" : 0 , "delta" : { "content" : "hi" } } ] }\n\n', DONE], "hi"),
    "done without a blank line": ([HI, b"data: [DONE]\n"], "hi"),
    "done without a line end": ([HI, b"data: [DONE]"], "hi"),
    "comments": ([b": a\n\n", HI, b": b\n\n", DONE], "hi"),
    "unknown fields": ([b"x: y\n\n", HI, b"nonsense\n\n", DONE], "hi"),
}


def events(body: bytes) -> list[str]:
    """The data of a stream's events, as OpenAI's own SDK reads them."""
    return [event.data for event in SSEDecoder().iter_bytes(iter([body]))]


def text_of(body: bytes) -> str:
    """The text of a stream up to its end."""
    chunks = [json.loads(data) for data in events(body) if data != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def sending(pieces: list[bytes], head: bytes) -> Callable[[Wire, bytes], Awaitable[None]]:
    async def script(wire: Wire, _: bytes) -> None:
        await wire.send(head)
        for piece in pieces:
            await wire.send(chunk(piece) if head is EVENT_STREAM else piece)
            await asyncio.sleep(0.02)
        if head is EVENT_STREAM:
            await wire.send(chunk(b""))
        else:
            wire.close()

    return script


@pytest.mark.parametrize("head", [EVENT_STREAM, UNFRAMED], ids=["chunked", "until it closes"])
@pytest.mark.parametrize("aggregated", [False, True], ids=["stream", "aggregated"])
@pytest.mark.parametrize("name", ODD)
async def test_odd_streams_are_read_alike(serve: Serve, name: str, aggregated: bool, head: bytes) -> None:
    pieces, text = ODD[name]
    async with raw_engine(sending(pieces, head), kind="llamacpp") as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=not aggregated)
        assert answer.status_code == 200, answer.text
        await gateway.ended("ok", 200, stream=not aggregated)
        if aggregated:
            assert [choice["message"]["content"] for choice in answer.json()["choices"]] == [text]
        else:
            assert text_of(answer.content) == text
            assert events(answer.content)[-1] == "[DONE]"
            assert answer.content.endswith(b"\n\n")
            assert all(event and event != "null" for event in events(answer.content))


NO_PROGRESS = {
    "comments": b": ping\n\n",
    "retry": b"retry: 10\n\n",
    "empty data": b"data:\n\n",
    "null": b"data: null\n\n",
    "an event's name": b"event: ping\n\n",
}


@pytest.mark.parametrize("aggregated", [False, True], ids=["stream", "aggregated"])
@pytest.mark.parametrize("first", [b"", HI], ids=["from the start", "behind a token"])
@pytest.mark.parametrize("name", NO_PROGRESS)
async def test_what_keeps_a_connection_alive_is_no_progress(
    serve: Serve, name: str, first: bytes, aggregated: bool
) -> None:
    async def heartbeats(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + (chunk(first) if first else b""))
        while not wire.writer.is_closing():
            await wire.send(chunk(NO_PROGRESS[name]))
            await asyncio.sleep(0.05)

    async with raw_engine(heartbeats, kind="llamacpp") as engine:
        gateway = await serve(engine, idle_timeout=0.7, ttft_timeout=0.7, total_timeout=60)
        answer = await gateway.chat(stream=not aggregated)
        begun = bool(first) and not aggregated
        assert answer.status_code == (200 if begun else 504)
        await gateway.ended("timeout", 200 if begun else 504, stream=not aggregated)
        assert nonzero_samples(gateway.metrics.timeouts) == {("idle" if first else "ttft",): 1}


@pytest.mark.parametrize("pause", [False, True], ids=["in one piece", "in two"])
async def test_good_events_before_a_malformed_one_reach_the_client(serve: Serve, pause: bool) -> None:
    async def script(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM)
        if pause:
            await wire.send(chunk(HI))
            await asyncio.sleep(0.05)
            await wire.send(chunk(HI + b"data: {nope}\n\n" + HI + DONE) + chunk(b""))
        else:
            await wire.send(chunk(HI + HI + b"data: {nope}\n\n" + HI + DONE) + chunk(b""))

    async with raw_engine(script) as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=True)
        *good, last = events(answer.content)
        assert text_of(b"".join(b"data: %b\n\n" % event.encode() for event in good)) == "hihi"
        assert json.loads(last)["error"]["code"] == "engine_broken"
        await gateway.ended("stream_error", 200, stream=True)


@pytest.mark.parametrize("aggregated", [False, True], ids=["stream", "aggregated"])
@pytest.mark.parametrize("pieces", [[DONE], [b": hi\n\n", DONE], [b"<html></html>\n\n"], [], [b"data:\n\n", DONE]])
async def test_a_stream_without_an_answer_is_no_empty_200(serve: Serve, pieces: list[bytes], aggregated: bool) -> None:
    async with raw_engine(sending(pieces, EVENT_STREAM), kind="llamacpp") as engine:
        gateway = await serve(engine)
        answer = await gateway.chat(stream=not aggregated)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_broken")
        assert nonzero_samples(gateway.metrics.tokens) == {}


@pytest.mark.parametrize("aggregated", [False, True], ids=["stream", "aggregated"])
async def test_the_last_count_of_a_stream_holds(serve: Serve, aggregated: bool) -> None:
    counts = [event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": n}}) for n in (3, 7)]
    async with raw_engine(sending([HI, *counts, DONE], EVENT_STREAM), kind="llamacpp") as engine:
        gateway = await serve(engine)
        await gateway.chat(stream=not aggregated)
        await gateway.ended("ok", 200, stream=not aggregated)
        assert nonzero_samples(gateway.metrics.tokens) == {("mock", "input"): 5, ("mock", "output"): 7}


async def test_a_failed_attempts_tokens_are_not_charged_to_the_next_engine(serve: Serve) -> None:
    async def breaks(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(HI * 3))
        await asyncio.sleep(0.05)
        wire.reset()

    good = sending([HI, HI, DONE], EVENT_STREAM)
    async with (
        raw_engine(breaks, name="a", kind="llamacpp") as first,
        raw_engine(good, name="b", kind="llamacpp") as second,
    ):
        gateway = await serve(first, second, engine_prices=(("a", "1.0"), ("b", "1.0")))
        answer = await gateway.chat()
        assert answer.json()["choices"][0]["message"]["content"] == "hihi"
        await gateway.ended("ok", 200, stream=False)
        gateway.app._recorder.costs.write()
        # Three events at the first engine, two at the second, by no count of theirs: five in all, and not eight.
        assert nonzero_samples(gateway.metrics.output_equivalent_tokens) == {("mock",): 5}

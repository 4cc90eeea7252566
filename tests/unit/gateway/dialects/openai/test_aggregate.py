"""A stream aggregated into a plain answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.openai.aggregate import ChunkAggregator, plain_as_stream
from gateway.dialects.openai.stream import EventStream
from gateway.errors import EngineBadResponse
from gateway.usage import Usage


def event(content: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(content).encode()


def chunk(delta: Any = None, index: int = 0, **more: Any) -> bytes:
    part = {"index": index, "finish_reason": None, **({} if delta is None else {"delta": delta}), **more}
    return event({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [part]})


def collected(*pieces: bytes) -> tuple[ChunkAggregator, EventStream]:
    """What is made of a stream that comes in these pieces."""
    aggregator = ChunkAggregator()
    stream = EventStream(keep_usage=False, sink=aggregator)
    for piece in pieces:
        stream.feed(piece)
    return aggregator, stream


def aggregate(*pieces: bytes) -> Any:
    aggregator, stream = collected(*pieces)
    assert stream.failure is None
    return json.loads(aggregator.answer())


def test_a_chat() -> None:
    usage = event({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 1}})
    answer = aggregate(
        b": ping\n\n" + chunk({"role": "assistant", "content": None}),
        chunk({"content": "안"}) + chunk({"content": "녕"}),
        chunk({}, finish_reason="stop"),
        usage + b"data: [DONE]\n\n",
    )
    assert answer == {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "안녕"}}],
        "usage": {"prompt_tokens": 1},
    }


def test_a_completion() -> None:
    parts = [{"object": "text_completion", "choices": [{"index": 0, "text": text}]} for text in ("a", "b")]
    last = {"object": "text_completion", "choices": [{"text": "", "index": 0, "finish_reason": "length"}], "usage": {}}
    answer = aggregate(*map(event, (*parts, last)))
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"index": 0, "finish_reason": "length", "text": "ab"}]


def test_tool_calls_are_put_together_by_index() -> None:
    answer = aggregate(
        chunk({"role": "assistant", "content": None}),
        chunk(
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
        ),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y"'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        chunk({}, finish_reason="tool_calls"),
    )
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"y":2}'}},
    ]


def test_reasoning_and_refusals_are_text_too() -> None:
    pieces = (chunk({"reasoning_content": "h"}), chunk({"reasoning_content": "m"}), chunk({"content": "a"}))
    message = aggregate(*pieces)["choices"][0]["message"]
    assert message == {"role": "assistant", "reasoning_content": "hm", "content": "a"}


def test_several_choices_come_back_in_order() -> None:
    answer = aggregate(chunk({"content": "b"}, 1), chunk({"content": "a"}, 0), chunk({"content": "B"}, 1))
    assert [(choice["index"], choice["message"]["content"]) for choice in answer["choices"]] == [(0, "a"), (1, "bB")]


def test_logprobs_grow() -> None:
    first, second = ({"content": [{"token": token}]} for token in "ab")
    answer = aggregate(chunk({"content": "a"}, logprobs=first), chunk({"content": "b"}, logprobs=second))
    assert answer["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_an_answer_without_a_word_is_an_empty_text() -> None:
    answer = aggregate(chunk({"role": "assistant", "content": None}), chunk({}, finish_reason="stop"))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": ""}


def test_the_usage_of_all_choices_takes_the_place_of_the_last() -> None:
    aggregator = ChunkAggregator()
    for usage in ({"prompt_tokens": 5, "completion_tokens": 3, "other": 1}, None):
        aggregator.add({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    answer = json.loads(aggregator.answer(Usage(input=5, output=7)))
    counts = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    assert counts == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


@pytest.mark.parametrize(
    "nonsense",
    [
        *(
            {"choices": [None]},
            {"choices": 7},
            {"choices": [{"delta": 7}]},
            {"choices": [{"delta": {"tool_calls": 7}}]},
        ),
        *({"choices": [{"text": 7}]}, {"choices": [{"index": [], "text": "a"}]}, {"choices": [{"logprobs": 7}]}),
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": 7}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 100_000, "function": {"name": "f"}}]}}]},
    ],
)
def test_events_of_another_shape_are_the_engines_failure(nonsense: Any) -> None:
    _, stream = collected(event(nonsense))
    assert isinstance(stream.failure, EngineBadResponse)


@pytest.mark.parametrize("written", [b"data:%b\n\n", b"data:  %b\n\n", b"id: 1\ndata: %b\n\n", b"data: %b\r\n\r\n"])
def test_no_event_is_lost_however_it_is_written(written: bytes) -> None:
    chunks = [chunk({"role": "assistant"}), chunk({"content": "a"}), chunk({"content": "b"}), b"data: [DONE]\n\n"]
    payloads = [piece.removeprefix(b"data: ").rstrip(b"\n") for piece in chunks]
    assert aggregate(*(written % payload for payload in payloads)) == aggregate(*chunks)


def test_an_error_that_is_null_is_no_part_of_the_answer() -> None:
    answer = aggregate(event({"choices": [{"index": 0, "text": "a"}], "object": "text_completion", "error": None}))
    assert set(answer) == {"choices", "object"}


def test_any_grouping_of_events_gives_the_same() -> None:
    pieces = [chunk({"role": "assistant"}), *(chunk({"content": f"{n} "}) for n in range(20)), b"data: [DONE]\n\n"]
    whole = aggregate(b"".join(pieces))
    for size in (1, 2, 3, 7):
        assert aggregate(*(b"".join(pieces[at : at + size]) for at in range(0, len(pieces), size))) == whole


@pytest.mark.parametrize("stream", [b"", b'"stream":false,', b'"stream":null,"stream_options":null,'])
def test_a_plain_body_becomes_a_streams(stream: bytes) -> None:
    body = json.loads(plain_as_stream(b'{%b"model":"m","temperature":0.1,"x":{"y":[1,null]}}' % stream))
    assert body == {
        "model": "m",
        "temperature": 0.1,
        "x": {"y": [1, None]},
        "stream": True,
        "stream_options": {"include_usage": True},
    }

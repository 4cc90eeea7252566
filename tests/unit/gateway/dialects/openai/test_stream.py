"""A stream cut into events, however its bytes arrive."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from gateway.dialects.openai.stream import EventStream
from gateway.errors import EngineBadResponse
from gateway.usage import Usage

DONE = b"data: [DONE]\n\n"
COUNT = {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}}


def event(content: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(content, ensure_ascii=False).encode()


def choice(**part: Any) -> bytes:
    return event({"object": "chat.completion.chunk", "choices": [{"index": 0, **part}]})


ROLE = choice(delta={"role": "assistant", "content": ""})
TOKEN = choice(delta={"content": "hi"})
STREAMS: dict[str, bytes] = {
    "vLLM": ROLE
    + b"".join(choice(delta={"content": word}) for word in ("안녕", " 하세요 ", "🙂", '"usage":{', "[DONE]", "a\r\nb"))
    + choice(delta={"content": ""}, finish_reason="stop")
    + event({"choices": [], "usage": COUNT})
    + DONE,
    "llama.cpp": b": ping\n\n"
    + choice(delta={"role": "assistant", "content": None})
    + choice(delta={"content": "é"})
    + b": ping\n\n"
    + choice(delta={"reasoning_content": "hm"})
    + choice(delta={}, finish_reason="stop")
    + event({"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}], "usage": COUNT, "timings": {"n": 1}})
    + DONE,
    "tools": ROLE
    + choice(delta={"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}]})
    + choice(delta={"tool_calls": [{"index": 0, "function": {"arguments": '{"error": 1}'}}]})
    + DONE,
    "usage in every event": choice(delta={"content": "a"}, usage=None)
    + event({"choices": [{"delta": {"content": "b"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}})
    + event({"choices": [], "usage": COUNT})
    + DONE,
    "an error at the end": ROLE
    + choice(delta={"content": "a"})
    + choice(delta={"content": "b"})
    + event({"error": {"message": "out of memory", "code": 500}})
    + DONE,
}


def follow(pieces: list[bytes], *, keep_usage: bool) -> tuple[Any, ...]:
    """What a relay does: it feeds until the end or a failure."""
    stream = EventStream(keep_usage=keep_usage)
    out = b""
    for piece in pieces:
        out += stream.feed(piece)
        if stream.done or stream.failure is not None:
            break
    return (
        out,
        stream.token_events,
        stream.events_seen,
        stream.usage,
        stream.done,
        stream.failure and stream.failure.message,
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


@pytest.mark.parametrize("keep_usage", [False, True])
@pytest.mark.parametrize("framing", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("name", STREAMS)
def test_any_split_of_the_same_bytes_gives_the_same(name: str, framing: bytes, keep_usage: bool) -> None:
    data = STREAMS[name].replace(b"\n", framing)
    one_by_one = [piece + framing * 2 for piece in data.split(framing * 2) if piece]
    wanted = follow(one_by_one, keep_usage=keep_usage)
    assert follow([data], keep_usage=keep_usage) == wanted
    assert follow([bytes([byte]) for byte in data], keep_usage=keep_usage) == wanted
    rng = random.Random(20_261_121)  # noqa: S311 - the same splits in every run
    for _ in range(150):
        cuts = [rng.randrange(len(data)) for _ in range(rng.choice((1, 2, 3, 10, 60)))]
        assert follow(split(data, cuts), keep_usage=keep_usage) == wanted, cuts


@pytest.mark.parametrize("cut", range(1, len(STREAMS["vLLM"]), 7))
def test_any_single_cut(cut: int) -> None:
    data = STREAMS["vLLM"]
    assert follow([data[:cut], data[cut:]], keep_usage=True)[0] == data


@pytest.mark.parametrize("name", ["vLLM", "llama.cpp", "tools"])
def test_what_is_kept_is_kept_byte_for_byte(name: str) -> None:
    assert follow([STREAMS[name]], keep_usage=True)[0] == STREAMS[name]


def test_vllms_usage_event_is_taken_out_whole() -> None:
    out, _, _, usage, done, failure = follow([STREAMS["vLLM"]], keep_usage=False)
    assert out == STREAMS["vLLM"].replace(event({"choices": [], "usage": COUNT}), b"")
    assert usage == Usage(input=5, output=3, cached=0, reasoning=2)
    assert (done, failure) == (True, None)


def test_llama_cpps_usage_is_taken_out_of_the_last_event() -> None:
    out = follow([STREAMS["llama.cpp"]], keep_usage=False)[0]
    last = json.loads(out.split(b"\n\n")[-3].removeprefix(b"data: "))
    assert last == {"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}], "timings": {"n": 1}}


def test_no_event_is_ever_cut() -> None:
    stream = EventStream(keep_usage=True)
    for byte in STREAMS["vLLM"]:
        out = stream.feed(bytes([byte]))
        assert out == b"" or (out.endswith(b"\n\n") and out.count(b"\n\n") == 1)


def test_events_count_tokens_and_not_roles_comments_or_ends() -> None:
    stream = EventStream(keep_usage=True)
    counts = []
    for piece in (ROLE, b": ping\n\n", choice(delta={"content": "a"}), b": ping\n\n", choice(delta={"content": "b"})):
        stream.feed(piece)
        counts.append((stream.token_events, stream.events_seen))
    assert counts == [(0, 1), (0, 1), (1, 2), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    "part",
    [
        {"delta": {"content": "a"}},
        {"delta": {"reasoning_content": "a"}},
        {"delta": {"tool_calls": [{"index": 0}]}},
        {"text": "a"},
    ],
)
def test_text_reasoning_and_tool_calls_are_tokens(part: dict[str, Any]) -> None:
    stream = EventStream(keep_usage=False)
    stream.feed(choice(**part))
    assert stream.token_events == 1


@pytest.mark.parametrize(
    "part",
    [{"delta": {"role": "assistant", "content": ""}}, {"delta": {}}, {"text": ""}, {"delta": None}, {"delta": 7}, {}],
)
def test_a_role_or_nothing_is_no_token(part: dict[str, Any]) -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(choice(**part)) == choice(**part)
    assert stream.token_events == 0


@pytest.mark.parametrize(
    ("error", "reported"),
    [({"message": "boom"}, "boom"), ("boom", "boom"), ({}, "no reason given")],
)
@pytest.mark.parametrize("before", [b"", choice(delta={"content": "a"})])
def test_an_error_event_is_kept_from_the_client(error: Any, reported: str, before: bytes) -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(before) == before
    assert stream.feed(event({"error": error})) == b""
    assert isinstance(stream.failure, EngineBadResponse)
    assert (stream.failure.message, stream.done) == (f"The engine answered 500: {reported}", False)


def test_nothing_behind_an_error_event_is_passed_on() -> None:
    stream = EventStream(keep_usage=False)
    good = choice(delta={"content": "a"})
    assert stream.feed(good + event({"error": {"message": "boom"}}) + good + DONE) == good
    assert isinstance(stream.failure, EngineBadResponse)


@pytest.mark.parametrize("text", ["data: [DONE]", '"usage":{"prompt_tokens":9}', '{"error": "x"}', "\n\n: ping\n\n"])
def test_text_that_looks_like_something_is_only_text(text: str) -> None:
    stream = EventStream(keep_usage=False)
    pieces = [choice(delta={"content": text})] * 3
    assert b"".join(map(stream.feed, pieces)) == b"".join(pieces)
    assert (stream.token_events, stream.usage, stream.done, stream.failure) == (3, None, False, None)


@pytest.mark.parametrize(
    "garbage", [b"data: hello\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"data: 7\n\n", b'data: {"a":\n\n']
)
def test_data_that_is_no_json_object_is_a_failure(garbage: bytes) -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(garbage) == b""
    assert isinstance(stream.failure, EngineBadResponse)


@pytest.mark.parametrize("garbage", [b"hello\n\n", b"<html></html>\n\n", b"\x00\x01\n\n", b"Data: {}\n\n"])
def test_lines_that_are_no_field_are_passed_over_and_make_no_answer(garbage: bytes) -> None:
    stream = EventStream(keep_usage=False)
    assert (stream.feed(garbage), stream.events_seen, stream.failure) == (b"", 0, None)
    assert stream.finish() == b""
    assert isinstance(stream.failure, EngineBadResponse)


def test_an_event_without_an_end_is_not_collected_for_ever() -> None:
    stream = EventStream(keep_usage=False)
    piece = b"x" * 65_536
    for _ in range(64):
        assert stream.feed(piece) == b""
        assert stream.failure is None
    stream.feed(piece)
    assert isinstance(stream.failure, EngineBadResponse)
    assert "without an end" in stream.failure.message


def test_a_large_event_passes_in_small_pieces() -> None:
    large = choice(delta={"content": "x" * 3_000_000})
    out = follow(split(large + DONE, list(range(0, len(large), 65_536))), keep_usage=False)
    assert out[0] == large + DONE


@pytest.mark.parametrize("field", [b"event: x\n", b"id: 1\n", b"retry: 5\n", b": note\n"])
def test_other_fields_of_an_event_pass_with_it(field: bytes) -> None:
    stream = EventStream(keep_usage=False)
    token = field + choice(delta={"content": "a"})
    assert stream.feed(token) == token
    assert stream.token_events == 1
    assert stream.feed(field + DONE) == field + DONE
    assert stream.done


def test_nothing_behind_done_is_passed_on() -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(TOKEN + DONE + TOKEN) == TOKEN + DONE


def test_a_data_line_needs_no_space_and_may_be_several() -> None:
    stream = EventStream(keep_usage=False)
    stream.feed(b'data:{"choices":\ndata:[{"text":"a"}]}\n\n')
    assert stream.token_events == 1
    stream.feed(b"data:[DONE]\n\n")
    assert stream.done

"""Odd but legal events, ends and spacings, and failures told inside a stream."""

from __future__ import annotations

import pytest
from tests.unit.gateway.dialects.openai.test_stream import COUNT, DONE, ROLE, TOKEN, choice, event, follow

from gateway.dialects.openai.stream import EventStream
from gateway.errors import ContextLengthExceeded, EngineBadResponse
from gateway.usage import Usage


@pytest.mark.parametrize("malformed", [b"data: {nope}\n\n", event({"choices": 7}), event({"error": "boom"})])
@pytest.mark.parametrize("first", [b"", TOKEN], ids=["at once", "behind a token"])
def test_good_events_before_a_malformed_one_in_the_same_piece_are_kept(malformed: bytes, first: bytes) -> None:
    stream = EventStream(keep_usage=False)
    stream.feed(first)
    assert stream.feed(TOKEN + TOKEN + malformed + TOKEN + DONE) == TOKEN + TOKEN
    assert isinstance(stream.failure, EngineBadResponse)
    assert not stream.done


EMPTY = {
    "retry": b"retry: 3000\n\n",
    "id": b"id: 7\n\n",
    "event": b"event: ping\n\n",
    "data": b"data:\n\n",
    "data and a space": b"data: \n\n",
    "a name alone": b"data\n\n",
    "several": b"id: 7\nevent: ping\nretry: 1\n\n",
    "null": b"data: null\n\n",
}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("where", [0, 1, 2, 3], ids=["first", "behind the role", "behind a token", "last"])
def test_an_event_without_data_is_taken_out_and_is_no_sign_of_life(empty: bytes, where: int) -> None:
    events = [ROLE, TOKEN, TOKEN]
    with_empty = [*events[:where], empty, *events[where:]]
    assert follow([*with_empty, DONE], keep_usage=False) == follow([*events, DONE], keep_usage=False)
    assert follow([b"".join(with_empty) + DONE], keep_usage=False) == follow([*events, DONE], keep_usage=False)


def test_comments_go_on_to_the_client_alone_of_a_block_without_data() -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(b": one\nid: 3\n:two\ndata:\n\n") == b": one\n:two\n\n"
    assert stream.events_seen == 0


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_a_last_event_without_its_blank_line_counts_and_is_completed(end: bytes) -> None:
    stream = EventStream(keep_usage=False)
    out = stream.feed(TOKEN + b"data: [DONE]" + end)
    assert out + stream.finish() == TOKEN + DONE
    assert (stream.done, stream.failure) == (True, None)


@pytest.mark.parametrize("end", [b"", b"data: [DO", b'data: {"choices":[{"te', TOKEN[:-2], b": ping"])
def test_an_end_without_done_is_a_failure(end: bytes) -> None:
    stream = EventStream(keep_usage=False)
    stream.feed(TOKEN + end)
    stream.finish()
    assert isinstance(stream.failure, EngineBadResponse)


def test_done_alone_is_no_answer() -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(event({"choices": [], "usage": COUNT}) + DONE) == b""
    assert isinstance(stream.failure, EngineBadResponse)


@pytest.mark.parametrize(
    "written",
    ['"usage" : {"prompt_tokens":5}', '"usage":\t{"prompt_tokens": 5}', '"usage":{"prompt_tokens":5}'],
)
def test_usage_is_found_however_it_is_spaced(written: str) -> None:
    stream = EventStream(keep_usage=False)
    last = f'data: {{"choices":[],{written}}}\n\n'.encode()
    assert stream.feed(TOKEN) == TOKEN
    assert stream.feed(TOKEN + last) == TOKEN
    assert stream.usage == Usage(input=5)


@pytest.mark.parametrize("written", ['"error" : {"message":"boom"}', '"error":\t"boom"', '"object" : "error"'])
def test_an_error_is_found_however_it_is_spaced(written: str) -> None:
    stream = EventStream(keep_usage=False)
    assert stream.feed(TOKEN) == TOKEN
    assert stream.feed(f"data: {{{written}}}\n\n".encode()) == b""
    assert isinstance(stream.failure, EngineBadResponse)


@pytest.mark.parametrize("name", ["error", "usage"])
def test_null_beside_choices_is_neither_an_error_nor_a_count(name: str) -> None:
    stream = EventStream(keep_usage=False)
    plain = choice(delta={"content": "a"}) + event({"choices": [{"text": "b"}], name: None})
    assert stream.feed(plain) == plain
    assert stream.feed(plain) == plain
    assert (stream.token_events, stream.failure, stream.usage) == (4, None, None)


def test_the_last_of_two_counts_of_one_choice_holds() -> None:
    stream = EventStream(keep_usage=False)
    for count in (3, 7):
        stream.feed(TOKEN + event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": count}}))
    assert stream.usage == Usage(input=5, output=7)


def test_a_prompt_that_does_not_fit_is_the_requests_fault_in_a_later_event_too() -> None:
    stream = EventStream(keep_usage=False)
    stream.feed(TOKEN + event({"error": {"message": "maximum context length is 16 tokens", "code": 400}}))
    assert isinstance(stream.failure, ContextLengthExceeded)

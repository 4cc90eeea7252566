"""The parser of server-sent events against WHATWG's standard, but for its two deviations."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gateway.dialects.sse import Event, EventParser, count_simple, split
from gateway.errors import EngineBadResponse


def parse(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in (*map(parser.feed, pieces), parser.finish()) for event in split(piece)]


def data(*pieces: bytes) -> list[bytes | None]:
    return [event.data for event in parse(*pieces)]


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", None),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        (b"event: a\ndata: x\n\n", [b"x"]),
        (b"dat: x\nDATA: y\n data: z\ndata: ok\n\n", [b"ok"]),
        (b"data: a:b: c\n\n", [b"a:b: c"]),
        (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [b"a", b"b"]),
        (b"data: a\ndata:\ndata: b\n\n", [b"a\n\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    ],
)
def test_examples_of_the_standard_and_their_like(stream: bytes, wanted: list[bytes | None] | None) -> None:
    wanted = wanted or [None, b"first event", b"second event", b" third event"]
    assert data(stream) == wanted
    assert data(stream.replace(b"\n", b"\r\n")) == wanted
    assert data(stream.replace(b"\n", b"\r")) == wanted
    assert data(*(bytes([byte]) for byte in stream.replace(b"\n", b"\r\n"))) == wanted


@pytest.mark.parametrize(
    "block", [b"data:\n\n", b"data\n\n", b"data: \ndata:\n\n", b"id: 1\n\n", b"retry: 1\n\n", b"x\n\n"]
)
def test_an_event_whose_data_is_empty_is_none(block: bytes) -> None:
    assert parse(block) == [Event(b"", None)]


def test_line_ends_may_be_mixed_and_split_anywhere() -> None:
    rng = random.Random(20_261_126)  # noqa: S311 - the same streams in every run
    for _ in range(300):
        words = [b"w%d" % number for number in range(5)]
        ends = [rng.choice((b"\n", b"\r\n", b"\r")) for _ in range(10)]
        stream = b"".join(b"data: %b%b%b" % (word, ends[at], ends[at + 5]) for at, word in enumerate(words))
        if b"\r\n" in {first + second for first, second in zip(ends[:5], ends[5:], strict=True)}:
            continue  # a CR and an LF that meet are one line end
        cuts = sorted(rng.randrange(len(stream)) for _ in range(rng.randrange(8)))
        pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
        assert data(*pieces) == words, pieces


def test_an_event_is_there_with_its_carriage_return() -> None:
    """Not only when the next byte shows that no newline follows."""
    parser = EventParser()
    assert parser.feed(b"data: a\r\r") == b"data: a\n\n"
    assert parser.feed(b"\ndata: b\r\r") == b"data: b\n\n"


@pytest.mark.parametrize("mark", [b"\xef\xbb", b"\xef"])
def test_half_a_byte_order_mark_is_waited_for(mark: bytes) -> None:
    parser = EventParser()
    assert parser.feed(mark) == b""
    rest = b"\xef\xbb\xbf"[len(mark) :]
    assert parser.feed(rest + b"data: a\n\n") == b"data: a\n\n"


def test_a_last_event_without_its_blank_line_counts_at_the_end() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\n\ndata: b\n") == b"data: a\n\n"
    assert parser.finish() == b"data: b\n\n"
    assert parser.finish() == b""


def test_an_event_has_an_end() -> None:
    parser = EventParser()
    for _ in range(64):
        assert parser.feed(b"x" * 65_536) == b""
    with pytest.raises(EngineBadResponse, match="without an end"):
        parser.feed(b"x")


@pytest.mark.parametrize(
    ("blocks", "count"),
    [
        (b'data: {"a":1}\n\n', 1),
        (b'data: {"a":1}\n\ndata: {"b":2}\n\n', 2),
        (b"data: [DONE]\n\n", 0),
        (b": ping\n\n", 0),
        (b'data: {"a":1}\n\n: ping\n\n', 0),
        (b'id: 1\ndata: {"a":1}\n\n', 0),
        (b'data: {"a":\ndata: 1}\n\n', 0),
        (b'data: {"a":1}\n\ndata:\n\n', 0),
        (b'data:{"a":1}\n\n', 0),
        (b'data: {"a":1}\n\n\n\n', 0),
        (b'data: {"a":1}\n\ndata: null\n\n', 0),
    ],
)
def test_simple_events_are_counted_and_no_others(blocks: bytes, count: int) -> None:
    assert count_simple(blocks) == count

"""From bytes to requests: what an Upgrade offer, a trailer, a split packet and HTTP of two meanings come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import GatewayError, HeadersTooLarge, MalformedRequest, MethodNotAllowed
from gateway.server.reader import MAX_HEAD, MAX_HEADER, MAX_HEADERS, RequestReader

if TYPE_CHECKING:
    from collections.abc import Iterable

Seen = list[tuple[Any, ...]]


def read(*pieces: bytes) -> Seen:
    """What a reader makes of these packets: each request's method, target, headers, and its body."""
    seen: Seen = []
    body: list[bytes] = []

    def begin(method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> None:
        body.clear()
        seen.append((method, target, version, headers))

    def end() -> None:
        seen[-1] = (*seen[-1], b"".join(body))

    reader = RequestReader(begin, body.append, end)
    for piece in pieces:
        reader.feed(piece)
    return seen


def feed(reader: RequestReader, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


def deaf_reader() -> RequestReader:
    return RequestReader(lambda *_, **__: None, lambda _: None, lambda: None)


def split(data: bytes, at: int) -> list[bytes]:
    return [data[:at], data[at:]]


HOST = (b"host", b"a")
NEXT = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
NEXT_SEEN = ("GET", b"/next", "1.1", [HOST], b"")
OFFERS = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: upgrade\r\nsec-websocket-version: 13\r\n",
    "several": b"Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0\r\nUpgrade: h2c, irc/6.9\r\n",
    "anything": b"CONNECTION: UPGRADE\r\nUPGRADE: rot13\r\n",
}
BODIES = {
    "length": (b"content-length: 5\r\n\r\n", b"hello", b"hello"),
    "chunked": (b"transfer-encoding: chunked\r\n\r\n", b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
    "a request as the body": (b"content-length: %d\r\n\r\n" % len(NEXT), NEXT, NEXT),
    "none": (b"\r\n", b"", b""),
    "length of 0": (b"content-length: 0\r\n\r\n", b"", b""),
}


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("kind", BODIES)
def test_an_upgrade_offer_changes_nothing_wherever_the_packets_are_split(offer: str, kind: str) -> None:
    end_of_head, framed, content = BODIES[kind]
    start = b"POST /first HTTP/1.1\r\nhost: a\r\n"
    data = start + OFFERS[offer] + end_of_head + framed + NEXT
    for at in range(1, len(data)):
        first, second = read(*split(data, at))
        assert (first[:3], first[4]) == (("POST", b"/first", "1.1"), content), at
        assert not {name for name, _ in first[3]} & {b"upgrade"}
        assert second == NEXT_SEEN, at
    by_byte = read(*(data[at : at + 1] for at in range(len(data))))
    assert [by_byte[0][4], by_byte[1]] == [content, NEXT_SEEN]


def test_many_upgrade_offers_in_one_packet_are_as_many_requests() -> None:
    offer = b"POST / HTTP/1.1\r\nhost: a\r\n" + OFFERS["h2c"] + b"content-length: 2\r\n\r\n{}"
    assert [request[4] for request in read(offer * 80 + NEXT)] == [*[b"{}"] * 80, b""]


@pytest.mark.parametrize("offer", OFFERS)
def test_an_upgrade_offer_hides_no_second_length(offer: str) -> None:
    with pytest.raises(MalformedRequest):
        read(
            b"POST / HTTP/1.1\r\nhost: a\r\n"
            + OFFERS[offer]
            + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
        )


def test_trailers_change_no_head() -> None:
    first, second = read(
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\nauthorization: Bearer stolen\r\nhost: b\r\n\r\n" + NEXT
    )
    assert first[3] == [HOST, (b"transfer-encoding", b"chunked")]
    assert second == NEXT_SEEN


POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
TWO_MEANINGS = {
    "length and chunked": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\n",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\n",
    "identity": POST + b"transfer-encoding: identity\r\n\r\n",
    "chunked, identity": POST + b"transfer-encoding: chunked, identity\r\n\r\n",
    "gzip, chunked": POST + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "gzip and chunked": POST + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": POST + b"host: b\r\n\r\n",
    "two hosts in 1.0": b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",
    "two versions": b"GET / HTTP/2.0\r\nhost: a\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a folded header": POST + b"x: a\r\n b\r\n\r\n",
    "a space before the colon": POST + b"content-length : 3\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nhost: a\n\n",
    "a null": POST + b"x: a\x00b\r\n\r\n",
}


@pytest.mark.parametrize("name", TWO_MEANINGS)
def test_http_that_could_be_read_in_two_ways_is_refused_and_begins_no_request(name: str) -> None:
    data = TWO_MEANINGS[name]
    begun: Seen = []
    for pieces in ([data + NEXT], [data[at : at + 1] for at in range(len(data))]):
        reader = RequestReader(lambda *head, **_: begun.append(head), lambda _: None, lambda: None)
        with pytest.raises(MalformedRequest):
            feed(reader, pieces)
        assert begun == []


def test_what_is_taken_though_it_is_unusual() -> None:
    assert read(b"\r\n\r\nGET http://a HTTP/1.1\r\nhost: a\r\n\r\n")[0][1] == b"http://a"
    assert read(b"GET / HTTP/1.0\r\n\r\n")[0][2] == "1.0"
    assert read(b"POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n")[0][4] == b""


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["alone", "with an offer"],
)
def test_connect_is_refused(data: bytes) -> None:
    with pytest.raises(MethodNotAllowed):
        read(data + NEXT)


@pytest.mark.parametrize(
    ("start", "reported"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"BREW /pot HTTP/1.1\r\n\r\n", "method"),
    ],
)
def test_what_speaks_something_else_is_told_so(start: bytes, reported: str) -> None:
    with pytest.raises(MalformedRequest, match=reported):
        read(start)


def test_a_head_is_too_large_before_it_is_whole() -> None:
    reader = deaf_reader()
    feed(reader, [b"GET / HTTP/1.1\r\nx: ", *[b"y" * 4_096] * (MAX_HEAD // 4_096 - 1)])
    with pytest.raises(HeadersTooLarge):
        reader.feed(b"y" * 4_096)


@pytest.mark.parametrize("lines", [MAX_HEADERS - 1, MAX_HEADERS])
def test_so_many_headers_and_no_more(lines: int) -> None:
    data = b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * lines + b"\r\n"
    if lines < MAX_HEADERS:
        assert len(read(data)) == 1
        return
    with pytest.raises(HeadersTooLarge):
        read(data)


def test_one_line_has_a_limit_of_its_own_and_the_target_too() -> None:
    for data in (
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * MAX_HEADER + b"\r\n\r\n",
        b"GET /" + b"y" * MAX_HEADER + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + OFFERS["h2c"] + b"x: " + b"y" * MAX_HEADER + b"\r\n\r\n",
    ):
        with pytest.raises(HeadersTooLarge):
            read(*split(data, 10))


@pytest.mark.parametrize(
    "piece", [b"1;" + b"x" * 4_000 + b"\r\ny\r\n", b"0\r\n" + b"x: " + b"y" * 80_000], ids=["extensions", "trailers"]
)
def test_what_frames_a_body_has_a_limit(piece: bytes) -> None:
    reader = deaf_reader()
    reader.feed(POST + b"transfer-encoding: chunked\r\n\r\n")
    with pytest.raises(MalformedRequest, match="framing"):
        feed(reader, [piece] * 100)


def test_a_body_in_the_smallest_chunks_is_taken() -> None:
    data = POST + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    assert read(*(data[at : at + 4_096] for at in range(0, len(data), 4_096)))[0][4] == b"x" * 50_000


def test_a_long_body_is_not_held_against_the_next_one() -> None:
    long = POST + b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000
    chunked = POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    for at in (len(long), len(long) + 70, len(long) + len(chunked) - 4):
        assert [len(request[4]) for request in read(*split(long + chunked, at))] == [1_000_000, 2]


def test_a_fault_of_our_own_is_not_the_clients() -> None:
    def begin(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    reader = RequestReader(begin, lambda _: None, lambda: None)
    with pytest.raises(ZeroDivisionError):
        reader.feed(NEXT)


def test_a_refusal_in_a_callback_is_what_comes_out() -> None:
    def begin(*_: Any, **__: Any) -> None:
        raise HeadersTooLarge("mine")

    reader = RequestReader(begin, lambda _: None, lambda: None)
    with pytest.raises(GatewayError, match="mine"):
        reader.feed(NEXT)

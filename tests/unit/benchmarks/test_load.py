"""The load generator: its counters agree with an engine's, and every kind of wrong answer is seen."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks import load
from benchmarks.load import Endpoint, Load, Outcome

from mock_engine import responses
from mock_engine.behaviour import CHAT, Behaviour
from mock_engine.request import parse_request

if TYPE_CHECKING:
    from benchmarks.native_programs import NativePrograms
    from tests.support.mock_client import MockClient

Run = Callable[..., Outcome]
PLAIN = Load(requests=200, connections=8, timeout_s=20)
STREAMS = Load(requests=20, connections=10, tokens=20, stream=True, timeout_s=20)


@pytest.fixture
def run(programs: NativePrograms) -> Run:
    def run(port: int, given: Load, **changes: Any) -> Outcome:
        return load.run(programs.load_generator, Endpoint(port), replace(given, **changes))

    return run


def test_plain_counters_equal_the_engines(mock: MockClient, run: Run) -> None:
    outcome = run(mock.port, PLAIN)
    stats = mock.stats()
    assert (outcome.done, outcome.tokens, outcome.failures) == (200, 200 * 16, Counter())
    assert (stats["requests"], stats["finished"], stats["tokens_sent"]) == (200, 200, 200 * 16)
    assert stats["last_headers"]["authorization"] == "Bearer none"
    assert outcome.connections_opened == 8
    assert outcome.total_ms is not None
    assert 0 < outcome.total_ms.p50 <= outcome.total_ms.p90 <= outcome.total_ms.p99 <= outcome.total_ms.max
    assert outcome.ttft_ms is None


def test_stream_counters_equal_the_engines(mock: MockClient, run: Run) -> None:
    mock.change(interval_s=0.005, tokens=20)
    outcome = run(mock.port, STREAMS)
    stats = mock.stats()
    assert (outcome.done, outcome.tokens, outcome.failures) == (20, 400, Counter())
    assert (stats["finished"], stats["tokens_sent"], stats["events_sent"]) == (20, 400, 20 * (1 + 20 + 1))
    assert outcome.ttft_ms is not None
    assert outcome.gap_ms is not None
    assert outcome.wall_s >= 2 * 19 * 0.005


def test_time_to_first_token_is_that_of_the_engine(mock: MockClient, run: Run) -> None:
    mock.change(ttft_s=0.1, tokens=20)
    outcome = run(mock.port, STREAMS, requests=3, connections=3)
    assert outcome.ttft_ms is not None
    assert outcome.ttft_ms.p50 > 95
    assert outcome.total_ms is not None
    assert outcome.total_ms.p50 >= outcome.ttft_ms.p50


def test_usage_of_a_stream_is_required_where_it_was_asked_for(mock: MockClient, run: Run) -> None:
    mock.change(tokens=20)
    assert run(mock.port, STREAMS, usage=True).done == 20


@pytest.mark.parametrize(
    ("fault", "plain", "stream"),
    [
        ("status:503", "status 503", "status 503"),
        ("html", "wrong text", "ends within an event"),
        ("garbage", "wrong text", "an event that is not a chat chunk"),
        ("reset", "no response", "no response"),
        ("truncated", "incomplete", "incomplete"),
        ("break:3", "incomplete", "incomplete"),
        ("end_without_done:3", "wrong text", "no [DONE]"),
        ("error_event:3", "status 500", "an event that is not a chat chunk"),
    ],
)
def test_every_failure_is_counted_and_named(mock: MockClient, run: Run, fault: str, plain: str, stream: str) -> None:
    mock.change(fault=fault, tokens=20)
    outcome = run(mock.port, PLAIN, requests=20, tokens=20)
    assert (outcome.done, outcome.failures) == (0, Counter({plain: 20}))
    outcome = run(mock.port, STREAMS, requests=8)
    assert (outcome.done, outcome.tokens, outcome.failures) == (0, 0, Counter({stream: 8}))
    assert mock.stats()["requests"] == 28


def test_a_silent_engine_costs_the_timeout_once(mock: MockClient, run: Run) -> None:
    mock.change(fault="hang")
    outcome = run(mock.port, PLAIN, requests=10, connections=2, timeout_s=0.3)
    assert outcome.failures == Counter({"no response": 2, "not sent": 8})
    assert outcome.wall_s >= 0.3


def test_after_its_seconds_nothing_is_begun_and_what_is_begun_is_finished(mock: MockClient, run: Run) -> None:
    mock.change(ttft_s=0.05)
    outcome = run(mock.port, PLAIN, requests=1_000_000, seconds=0.4)
    assert outcome.failures == Counter()
    assert mock.stats()["finished"] == outcome.done
    assert 8 <= outcome.done <= 8 * 9


def test_every_request_to_a_port_without_a_listener_fails(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = run(unused.getsockname()[1], PLAIN, requests=10)
    assert outcome.failures == Counter({"no connection": 10})


class _Scripted(socketserver.StreamRequestHandler):
    """Answers one request with what the server was given, and closes the connection."""

    timeout = 10

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline()) != b"\r\n":
            if not line:
                return
            if line.startswith(b"content-length: "):
                length = int(line.rpartition(b" ")[2])
        self.rfile.read(length)
        for piece in self.server.answer:  # type: ignore[attr-defined]  # of the server below
            self.wfile.write(piece)
            self.wfile.flush()


@contextmanager
def _serving(*answer: bytes) -> Iterator[int]:
    """A server that gives the same answer to everybody; yields its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Scripted) as server:
        server.answer = answer  # type: ignore[attr-defined]  # read by the handler above
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


GOOD_PLAIN = b'{"content": "%b", "usage": {"completion_tokens": 2}}' % responses.text(2).encode()
GOOD_STREAM, _ = responses.stream_body(
    parse_request(CHAT, b'{"max_tokens": 3, "stream": true}', Behaviour(models=["mock"])), 1
)
EVENTS = GOOD_STREAM.split(b"\n\n")
USAGE = b'data: {"choices":[],"usage":{"completion_tokens":3}}\n\ndata: [DONE]'
BAD_STREAMS = {
    "one lost": (b"\n\n".join(EVENTS[:1] + EVENTS[2:]), "wrong text"),
    "one doubled": (b"\n\n".join(EVENTS[:2] + EVENTS[1:]), "wrong text"),
    "one missing at the end": (b"\n\n".join(EVENTS[:3] + EVENTS[4:]), "wrong number of tokens"),
    "cut": (GOOD_STREAM[:-1], "ends within an event"),
    "empty": (b"", "no [DONE]"),
    "merged": (GOOD_STREAM.replace(b" w000", b" w000 w001"), "tokens merged or split"),
    "no SSE": (b'{"error":{}}\n\n', "an event that is not a chat chunk"),
    "unrequested usage": (GOOD_STREAM.replace(b"data: [DONE]", USAGE), "usage that was not requested"),
    "twice done": (GOOD_STREAM + b"data: [DONE]\n\n", "an event after [DONE]"),
}


@pytest.mark.parametrize(("body", "reason"), BAD_STREAMS.values(), ids=list(BAD_STREAMS))
def test_every_event_of_a_stream_is_checked(run: Run, body: bytes, reason: str) -> None:
    with _serving(_whole(body)) as port:
        assert run(port, STREAMS, requests=2, connections=1, tokens=3).failures == Counter({reason: 2})


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_an_answer_may_come_in_any_pieces(run: Run, size: int) -> None:
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in _pieces(GOOD_STREAM, 50))
    framed = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\nTrailer: x\r\n\r\n"
    )
    for answer in (_whole(GOOD_STREAM), framed, b"HTTP/1.0 200 OK\r\n\r\n" + GOOD_STREAM):
        with _serving(*_pieces(answer, size)) as port:
            outcome = run(port, STREAMS, requests=2, connections=1, tokens=3)
        assert (outcome.done, outcome.failures) == (2, Counter())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (GOOD_PLAIN, None),
        (GOOD_PLAIN.replace(b"w001", b"w002"), "wrong text"),
        (GOOD_PLAIN.replace(b": 2}", b": 3}"), "wrong usage"),
        (GOOD_PLAIN.replace(b"completion_tokens", b"tokens"), "wrong usage"),
    ],
)
def test_text_and_usage_of_a_plain_answer_are_checked(run: Run, body: bytes, reason: str | None) -> None:
    with _serving(_whole(body)) as port:
        outcome = run(port, PLAIN, requests=2, connections=1, tokens=2)
    assert outcome.failures == (Counter({reason: 2}) if reason else Counter())


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
def test_what_is_not_http_is_no_response(run: Run, answer: bytes) -> None:
    with _serving(answer) as port:
        assert run(port, PLAIN, requests=2, connections=1).failures == Counter({"no response": 2})


@pytest.mark.parametrize(("requests", "connections"), [(20, 8), (3, 8), (1, 1)])
def test_a_connection_closed_after_each_response_is_reopened(run: Run, requests: int, connections: int) -> None:
    with _serving(_whole(GOOD_PLAIN)) as port:
        outcome = run(port, PLAIN, requests=requests, connections=connections, tokens=2)
    assert (outcome.done, outcome.failures, outcome.connections_opened) == (requests, Counter(), requests)


def test_a_thousand_connections_and_large_prompts(native_engine: int, run: Run) -> None:
    outcome = run(native_engine, PLAIN, requests=3_000, connections=1_000)
    assert (outcome.done, outcome.failures, outcome.connections_opened) == (3_000, Counter(), 1_000)
    assert len(Endpoint(1).request(replace(PLAIN, prompt_bytes=100_000))) == pytest.approx(100_000, rel=0.01)
    assert run(native_engine, PLAIN, requests=50, prompt_bytes=100_000).done == 50


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]

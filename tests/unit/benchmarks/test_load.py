"""The load generator with the mock engine: its counters agree with the engine's."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
from collections import Counter
from typing import Any

import pytest
from benchmarks import load
from tests.support.mock_client import MockClient

from mock_engine import responses
from mock_engine.behaviour import CHAT, Behaviour
from mock_engine.request import parse_request


async def _plain(port: int, **changes: Any) -> load.Outcome:
    defaults = {"requests": 200, "connections": 8, "tokens": 16, "timeout_s": 10}
    return await load.plain_load(load.Endpoint(port), **(defaults | changes))


async def _streams(port: int, **changes: Any) -> load.Outcome:
    defaults = {"streams": 10, "repeats": 2, "tokens": 20, "interval_s": 0.005, "timeout_s": 10}
    return await load.stream_load(load.Endpoint(port), **(defaults | changes))


async def test_plain_counters_equal_the_engines(mock: MockClient) -> None:
    outcome = await _plain(mock.port)
    stats = mock.stats()
    assert (outcome.done, outcome.failures) == (200, Counter())
    assert (stats["requests"], stats["finished"], stats["tokens_sent"]) == (200, 200, 200 * 16)
    assert stats["last_headers"]["authorization"] == "Bearer none"


async def test_stream_counters_equal_the_engines(mock: MockClient) -> None:
    outcome = await _streams(mock.port)
    stats = mock.stats()
    assert (outcome.done, outcome.tokens, outcome.failures) == (20, 400, Counter())
    assert (stats["requests"], stats["finished"], stats["tokens_sent"]) == (20, 20, 400)
    assert stats["events_sent"] == 20 * (1 + 20 + 1)
    assert len(outcome.ttft_ms) == 20
    assert all(ttft > 0 for ttft in outcome.ttft_ms)
    assert outcome.wall_s >= 2 * 19 * 0.005


async def test_time_to_first_token_is_that_of_the_engine(mock: MockClient) -> None:
    mock.change(ttft_s=0.1)
    outcome = await _streams(mock.port, streams=3, repeats=1)
    assert all(ttft > 95 for ttft in outcome.ttft_ms)


@pytest.mark.parametrize(
    ("fault", "plain", "stream"),
    [
        ("status:503", "status 503", "status 503"),
        ("html", "wrong text", "ends within an event"),
        ("garbage", "wrong text", "no [DONE]"),
        ("reset", "no response", "no response"),
        ("truncated", "incomplete", "incomplete"),
        ("break:3", "incomplete", "incomplete"),
        ("end_without_done:3", "wrong text", "no [DONE]"),
        ("error_event:3", "status 500", "an event that is not a chat chunk"),
    ],
)
async def test_every_failure_is_counted_and_named(mock: MockClient, fault: str, plain: str, stream: str) -> None:
    mock.change(fault=fault)
    outcome = await _plain(mock.port, requests=20)
    assert (outcome.done, outcome.failures) == (0, Counter({f"plain: {plain}": 20}))
    outcome = await _streams(mock.port, streams=4)
    assert (outcome.done, outcome.tokens, outcome.failures) == (0, 0, Counter({f"stream: {stream}": 8}))
    assert mock.stats()["requests"] == 28


async def test_failures_in_between_do_not_hide_the_successes(mock: MockClient) -> None:
    running = asyncio.create_task(_plain(mock.port, requests=6_000))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(mock.change, fault="status:500")
    outcome = await running
    assert outcome.done + outcome.failures.total() == 6_000
    assert (outcome.done, outcome.failures.total()) == (mock.stats()["finished"], mock.stats()["faulted"])


async def test_a_silent_engine_costs_the_timeout_once(mock: MockClient) -> None:
    mock.change(fault="hang")
    outcome = await _plain(mock.port, requests=10, connections=2, timeout_s=0.3)
    assert outcome.failures == Counter({"plain: no response": 2, "plain: not sent": 8})
    assert outcome.wall_s >= 0.3
    assert mock.wait_for(lambda stats: not stats["running"])["cancelled"] == 2


async def test_every_request_to_a_port_without_a_listener_fails() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = await _plain(unused.getsockname()[1], requests=10)
    assert outcome.failures == Counter({"plain: no response": 10})


class _ClosesAfterEachResponse(socketserver.StreamRequestHandler):
    """Responds to one request. Some connections send none: another one has taken the last request meanwhile."""

    timeout = 10

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline()) != b"\r\n":
            if not line:
                return
            if line.startswith(b"content-length: "):
                length = int(line.rpartition(b" ")[2])
        self.rfile.read(length)
        body = f'{{"content": "{load.expected_text(16)}"}}'.encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


@pytest.mark.parametrize(("requests", "connections"), [(20, 8), (3, 8), (1, 1)])
async def test_a_connection_closed_after_each_response_is_reopened(requests: int, connections: int) -> None:
    # Not asyncio's server: before Python 3.12 that one does not wait for its connections, nor, early in 3.11, close one
    # whose handler has failed.
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _ClosesAfterEachResponse) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            outcome = await _plain(server.server_address[1], requests=requests, connections=connections)
        finally:
            server.shutdown()
            serving.join()
    assert (outcome.done, outcome.failures) == (requests, Counter())


def test_the_mock_and_the_load_generator_agree_on_the_text() -> None:
    assert load.expected_text(1_001) == responses.text(1_001)
    assert load.expected_text(1_001).endswith(" w999 w000")


def test_every_event_of_a_stream_is_checked() -> None:
    request = parse_request(CHAT, b'{"max_tokens": 3, "stream": true}', Behaviour(models=["mock"]))
    good, _ = responses.stream_body(request, 1)
    events = good.split(b"\n\n")
    assert load.stream_error(good, 3) is None
    assert load.stream_error(good, 4) == "wrong text"
    assert load.stream_error(b"\n\n".join(events[:1] + events[2:]), 3) == "wrong text"  # one lost
    assert load.stream_error(b"\n\n".join(events[:2] + events[1:]), 3) == "wrong text"  # one doubled
    assert load.stream_error(good[:-1], 3) == "ends within an event"
    assert load.stream_error(b"", 3) == "no [DONE]"
    merged = good.replace(events[2] + b"\n\n", b"").replace(b" w000", b" w000 w001")
    assert load.stream_error(merged, 3) == "tokens merged or split"
    with_usage = good.replace(b"data: [DONE]", b'data: {"choices":[]}\n\ndata: [DONE]')
    assert load.stream_error(with_usage, 3) == "an event that is not a chat chunk"  # which was not requested

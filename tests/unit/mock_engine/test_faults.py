"""Every fault of the mock engine, as a raw connection sees it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from tests.support.http.connection import RawConnection
from tests.support.mock_client import MockClient

from mock_engine.fault import COUNTED_FAULTS, PLAIN_FAULTS, Fault, parse_fault

SILENCE_S = 0.3
ROLE_AND_TWO = [{"role": "assistant", "content": ""}, {"content": " w000"}, {"content": " w001"}]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def _read(connection: RawConnection) -> tuple[bytes, str]:
    """Reads to the end; what was received, and whether the end is `closed`, `reset` or `silent`."""
    connection.socket.settimeout(SILENCE_S)
    try:
        while connection.read():
            pass
    except ConnectionResetError:
        return connection.received, "reset"
    except TimeoutError:
        return connection.received, "silent"
    return connection.received, "closed"


def _request_with_fault(mock: MockClient, fault: str, *, stream: bool, tokens: int = 5) -> tuple[bytes, str]:
    with mock.connect(stream=stream, mock={"fault": fault, "tokens": tokens}) as connection:
        return _read(connection)


def _deltas(received: bytes) -> list[Any]:
    lines = [line for line in received.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:])["choices"][0]["delta"] for line in lines]


def _wait_for_outcome(mock: MockClient, outcome: str) -> dict[str, Any]:
    """Waits until the request is counted, once and with this outcome."""
    stats: dict[str, Any] = mock.wait_for(lambda stats: not stats["running"])
    assert {name: stats[name] for name in ("finished", "cancelled", "faulted") if stats[name]} == {outcome: 1}
    assert stats["requests"] == 1
    return stats


@BOTH
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 599])
def test_status_is_an_openai_error(mock: MockClient, status: int, stream: bool) -> None:
    response = mock.chat(stream=stream, mock={"fault": f"status:{status}"})
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    _wait_for_outcome(mock, "faulted")


@BOTH
def test_html_is_a_page_with_200(mock: MockClient, stream: bool) -> None:
    response = mock.chat(stream=stream, mock={"fault": "html"})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.text.startswith("<!DOCTYPE html>")
    _wait_for_outcome(mock, "faulted")


@BOTH
def test_garbage_is_neither_events_nor_json(mock: MockClient, stream: bool) -> None:
    response = mock.chat(stream=stream, mock={"fault": "garbage"})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert b"data:" not in response.content
    with pytest.raises(ValueError):  # noqa: PT011 - any error that JSON or UTF-8 has will do
        response.json()
    _wait_for_outcome(mock, "faulted")


@BOTH
def test_reset_comes_before_any_byte(mock: MockClient, stream: bool) -> None:
    assert _request_with_fault(mock, "reset", stream=stream) == (b"", "reset")
    _wait_for_outcome(mock, "faulted")


@BOTH
def test_hang_sends_no_byte_until_the_client_disconnects(mock: MockClient, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"fault": "hang"}) as connection:
        assert _read(connection) == (b"", "silent")
        assert mock.stats()["running"] == 1
    _wait_for_outcome(mock, "cancelled")


@BOTH
def test_headers_then_hang_sends_a_head_only(mock: MockClient, stream: bool) -> None:
    received, end = _request_with_fault(mock, "headers_then_hang", stream=stream)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n")
    assert (received.count(b"\r\n\r\n"), end) == (1, "silent")
    _wait_for_outcome(mock, "cancelled")


def test_break_resets_after_so_many_tokens(mock: MockClient) -> None:
    received, end = _request_with_fault(mock, "break:2", stream=True)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "reset")
    stats = _wait_for_outcome(mock, "faulted")
    assert (stats["tokens_sent"], stats["events_sent"]) == (2, 3)


def test_break_at_zero_comes_between_the_head_and_the_first_event(mock: MockClient) -> None:
    received, end = _request_with_fault(mock, "break:0", stream=True)
    assert received.endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert end == "reset"


def test_break_behind_the_last_token_leaves_out_the_end(mock: MockClient) -> None:
    received, end = _request_with_fault(mock, "break:99", stream=True, tokens=2)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "reset")
    assert b"[DONE]" not in received


def test_end_without_done_ends_cleanly(mock: MockClient) -> None:
    response = mock.chat(stream=True, mock={"fault": "end_without_done:2", "tokens": 5})  # httpx would raise otherwise
    assert _deltas(response.content) == ROLE_AND_TWO
    assert "[DONE]" not in response.text
    _wait_for_outcome(mock, "faulted")


def test_stall_falls_silent_until_the_client_disconnects(mock: MockClient) -> None:
    received, end = _request_with_fault(mock, "stall:2", stream=True)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "silent")
    _wait_for_outcome(mock, "cancelled")


def test_error_event_comes_before_done(mock: MockClient) -> None:
    response = mock.chat(stream=True, mock={"fault": "error_event:1", "tokens": 5})
    events = [event for event in response.text.split("\n\n") if event]
    assert json.loads(events[2].removeprefix("data: "))["error"]["code"] == 500
    assert (len(events), events[3]) == (4, "data: [DONE]")
    _wait_for_outcome(mock, "faulted")


@pytest.mark.parametrize(("fault", "end"), [("break:1", "reset"), ("stall:1", "silent")])
def test_a_plain_response_fails_in_its_middle(mock: MockClient, fault: str, end: str) -> None:
    received, seen = _request_with_fault(mock, fault, stream=False)
    head, _, half = received.partition(b"\r\n\r\n")
    announced = int(head.rpartition(b"content-length: ")[2])
    assert (0 < len(half) < announced, seen) == (True, end)
    _wait_for_outcome(mock, "faulted" if end == "reset" else "cancelled")


def test_a_plain_response_may_end_cleanly_halfway(mock: MockClient) -> None:
    response = mock.chat(mock={"fault": "end_without_done:1"})
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_plain_response_has_no_events_to_carry_an_error(mock: MockClient) -> None:
    assert mock.chat(mock={"fault": "error_event:1"}).status_code == 500


@BOTH
def test_context_length_is_the_error_of_vllm(mock: MockClient, stream: bool) -> None:
    mock.change(max_model_len=128)
    response = mock.chat(stream=stream, mock={"fault": "context_length"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (400, 400, "BadRequestError")
    assert error["message"].startswith("This model's maximum context length is 128 tokens.")
    _wait_for_outcome(mock, "faulted")


@BOTH
def test_slow_body_trickles_but_arrives(mock: MockClient, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"fault": "slow_body", "tokens": 2, "interval_s": 0.002}) as connection:
        while not connection.received.endswith(b"[DONE]\n\n" if stream else b"}}"):
            assert connection.read(), "the connection ended before the body"
    assert len(connection.reads) > 10
    assert b" w001" in connection.received
    stats = _wait_for_outcome(mock, "finished")
    assert (stats["tokens_sent"], stats["events_sent"]) == (2, 4 if stream else 0)


@BOTH
def test_truncated_promises_more_than_it_sends(mock: MockClient, stream: bool) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        mock.chat(stream=stream, mock={"fault": "truncated"})
    _wait_for_outcome(mock, "faulted")


def test_a_client_that_disconnects_frees_the_engine_at_once(mock: MockClient) -> None:
    with mock.connect(stream=True, mock={"tokens": 1000, "interval_s": 0.01}) as connection:
        assert connection.read().startswith(b"HTTP/1.1 200")
        mock.wait_for(lambda stats: stats["tokens_sent"] > 5)
    stats = _wait_for_outcome(mock, "cancelled")
    time.sleep(0.05)
    assert mock.stats()["tokens_sent"] == stats["tokens_sent"] < 1000


def test_a_client_that_disconnects_frees_a_plain_response_too(mock: MockClient) -> None:
    with mock.connect(mock={"ttft_s": 60}):
        mock.wait_for(lambda stats: stats["running"] == 1)
    assert _wait_for_outcome(mock, "cancelled")["tokens_sent"] == 0


def test_a_client_that_does_not_read_is_not_written_for(mock: MockClient) -> None:
    tokens = 200_000  # some 40 MB of events: more than the sockets and buffers between the two can hold
    with mock.connect(stream=True, mock={"tokens": tokens}) as connection:
        sent = -1
        while sent != (sent := mock.stats()["tokens_sent"]):
            time.sleep(0.2)
        assert 0 < sent < tokens
        for _ in range(200):
            assert connection.socket.recv(65_536)
        mock.wait_for(lambda stats: stats["tokens_sent"] > sent)
    _wait_for_outcome(mock, "cancelled")


def test_a_second_request_before_the_first_response_closes_the_connection(mock: MockClient) -> None:
    with mock.connect(mock={"fault": "hang"}) as connection:
        mock.wait_for(lambda stats: stats["running"] == 1)
        connection.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert _read(connection) == (b"", "closed")
    _wait_for_outcome(mock, "cancelled")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset", "hang"])
def test_other_endpoints_fail_too(mock: MockClient, fault: str) -> None:
    mock.change(path_faults={"/metrics": fault})
    with RawConnection(mock.port) as connection:
        connection.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received, end = _read(connection)
    expected = {"status:500": b" 500 ", "html": b"<html>", "garbage": b"\xff\xfe"}
    assert expected.get(fault, b"") in received
    assert end == {"reset": "reset", "hang": "silent"}.get(fault, "closed")
    assert mock.http.get("/health").status_code == 200


def test_every_fault_is_parsed() -> None:
    assert {parse_fault(name) for name in PLAIN_FAULTS} == {Fault(name) for name in PLAIN_FAULTS}
    assert {parse_fault(f"{name}:7") for name in COUNTED_FAULTS} == {Fault(name, 7) for name in COUNTED_FAULTS}
    assert parse_fault("status:500") == Fault("status", 500)
    assert parse_fault(None) is None
    assert parse_fault("") is None


@pytest.mark.parametrize("wrong", ["bogus", "break", "break:", "break:-1", "break:x", "hang:1", "status:200", 5, "²:²"])
def test_an_unknown_fault_is_rejected(wrong: object) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse_fault(wrong)

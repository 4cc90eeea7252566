"""Every fault of the mock engine, as a socket sees it."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx
import pytest

from mock_engine.fault import COUNTED_FAULTS, PLAIN_FAULTS, Fault, parse_fault

SILENCE_S = 0.3
ROLE_AND_TWO = [{"role": "assistant", "content": ""}, {"content": " w000"}, {"content": " w001"}]
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def _read(connection: socket.socket) -> tuple[bytes, str]:
    """Read to the end; say what the end was: `closed`, `reset` or `silent`."""
    received = b""
    connection.settimeout(SILENCE_S)
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "silent"
        if not piece:
            return received, "closed"
        received += piece


def _fail(mock: Any, fault: str, *, stream: bool, tokens: int = 5) -> tuple[bytes, str]:
    with mock.connect(stream=stream, mock={"fault": fault, "tokens": tokens}) as connection:
        received: tuple[bytes, str] = _read(connection)
        return received


def _deltas(received: bytes) -> list[Any]:
    lines = [line for line in received.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:])["choices"][0]["delta"] for line in lines]


def _ended(mock: Any, how: str) -> dict[str, Any]:
    """Wait until the request is counted, once and as such."""
    truth: dict[str, Any] = mock.wait_for(lambda truth: not truth["running"])
    assert {name: truth[name] for name in ("finished", "cancelled", "faulted") if truth[name]} == {how: 1}
    assert truth["requests"] == 1
    return truth


@BOTH
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 599])
def test_status_is_an_openai_error(mock: Any, status: int, stream: bool) -> None:
    answer = mock.chat(stream=stream, mock={"fault": f"status:{status}"})
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    _ended(mock, "faulted")


@BOTH
def test_html_is_a_page_with_200(mock: Any, stream: bool) -> None:
    answer = mock.chat(stream=stream, mock={"fault": "html"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    _ended(mock, "faulted")


@BOTH
def test_garbage_is_neither_events_nor_json(mock: Any, stream: bool) -> None:
    answer = mock.chat(stream=stream, mock={"fault": "garbage"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert b"data:" not in answer.content
    with pytest.raises(ValueError):  # noqa: PT011 - any error that JSON or UTF-8 has will do
        answer.json()
    _ended(mock, "faulted")


@BOTH
def test_reset_comes_before_any_byte(mock: Any, stream: bool) -> None:
    assert _fail(mock, "reset", stream=stream) == (b"", "reset")
    _ended(mock, "faulted")


@BOTH
def test_hang_sends_no_byte_until_the_client_goes(mock: Any, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"fault": "hang"}) as connection:
        assert _read(connection) == (b"", "silent")
        assert mock.truth()["running"] == 1
    _ended(mock, "cancelled")


@BOTH
def test_headers_then_hang_sends_a_head_only(mock: Any, stream: bool) -> None:
    received, end = _fail(mock, "headers_then_hang", stream=stream)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n")
    assert (received.count(b"\r\n\r\n"), end) == (1, "silent")
    _ended(mock, "cancelled")


def test_break_resets_after_so_many_tokens(mock: Any) -> None:
    received, end = _fail(mock, "break:2", stream=True)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "reset")
    truth = _ended(mock, "faulted")
    assert (truth["tokens_sent"], truth["events_sent"]) == (2, 3)


def test_break_at_nought_comes_between_the_head_and_the_first_event(mock: Any) -> None:
    received, end = _fail(mock, "break:0", stream=True)
    assert received.endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert end == "reset"


def test_break_behind_the_last_token_leaves_out_the_end(mock: Any) -> None:
    received, end = _fail(mock, "break:99", stream=True, tokens=2)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "reset")
    assert b"[DONE]" not in received


def test_end_without_done_ends_cleanly(mock: Any) -> None:
    answer = mock.chat(stream=True, mock={"fault": "end_without_done:2", "tokens": 5})  # httpx would raise otherwise
    assert _deltas(answer.content) == ROLE_AND_TWO
    assert "[DONE]" not in answer.text
    _ended(mock, "faulted")


def test_stall_falls_silent_until_the_client_goes(mock: Any) -> None:
    received, end = _fail(mock, "stall:2", stream=True)
    assert (_deltas(received), end) == (ROLE_AND_TWO, "silent")
    _ended(mock, "cancelled")


def test_error_event_comes_before_done(mock: Any) -> None:
    answer = mock.chat(stream=True, mock={"fault": "error_event:1", "tokens": 5})
    events = [event for event in answer.text.split("\n\n") if event]
    assert json.loads(events[2].removeprefix("data: "))["error"]["code"] == 500
    assert (len(events), events[3]) == (4, "data: [DONE]")
    _ended(mock, "faulted")


@pytest.mark.parametrize(("fault", "end"), [("break:1", "reset"), ("stall:1", "silent")])
def test_a_plain_answer_fails_in_its_middle(mock: Any, fault: str, end: str) -> None:
    received, seen = _fail(mock, fault, stream=False)
    head, _, half = received.partition(b"\r\n\r\n")
    promised = int(head.rpartition(b"content-length: ")[2])
    assert (0 < len(half) < promised, seen) == (True, end)
    _ended(mock, "faulted" if end == "reset" else "cancelled")


def test_a_plain_answer_may_end_cleanly_and_be_half(mock: Any) -> None:
    answer = mock.chat(mock={"fault": "end_without_done:1"})
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_plain_answer_has_no_events_to_carry_an_error(mock: Any) -> None:
    assert mock.chat(mock={"fault": "error_event:1"}).status_code == 500


@BOTH
def test_context_length_is_the_error_of_vllm(mock: Any, stream: bool) -> None:
    mock.change(max_model_len=128)
    answer = mock.chat(stream=stream, mock={"fault": "context_length"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, 400, "BadRequestError")
    assert error["message"].startswith("This model's maximum context length is 128 tokens.")
    _ended(mock, "faulted")


@BOTH
def test_slow_body_trickles_but_arrives(mock: Any, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"fault": "slow_body", "tokens": 2, "interval_s": 0.002}) as connection:
        pieces: list[bytes] = []
        while not (received := b"".join(pieces)).endswith(b"[DONE]\n\n" if stream else b"}}"):
            pieces.append(connection.recv(65536))
    assert len(pieces) > 10
    assert b" w001" in received
    truth = _ended(mock, "finished")
    assert (truth["tokens_sent"], truth["events_sent"]) == (2, 4 if stream else 0)


@BOTH
def test_truncated_promises_more_than_it_sends(mock: Any, stream: bool) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        mock.chat(stream=stream, mock={"fault": "truncated"})
    _ended(mock, "faulted")


def test_a_client_that_goes_frees_the_engine_at_once(mock: Any) -> None:
    with mock.connect(stream=True, mock={"tokens": 1000, "interval_s": 0.01}) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        mock.wait_for(lambda truth: truth["tokens_sent"] > 5)
    gone = time.monotonic()
    truth = _ended(mock, "cancelled")
    assert time.monotonic() - gone < 1
    time.sleep(0.05)
    assert mock.truth()["tokens_sent"] == truth["tokens_sent"] < 1000


def test_a_client_that_goes_frees_a_plain_answer_too(mock: Any) -> None:
    with mock.connect(mock={"ttft_s": 60}):
        mock.wait_for(lambda truth: truth["running"] == 1)
    assert _ended(mock, "cancelled")["tokens_sent"] == 0


def test_a_client_that_does_not_read_is_not_written_for(mock: Any) -> None:
    tokens = 200_000  # some 40 MB of events: more than the sockets and buffers between the two can hold
    with mock.connect(stream=True, mock={"tokens": tokens}) as connection:
        sent = -1
        while sent != (sent := mock.truth()["tokens_sent"]):
            time.sleep(0.2)
        assert 0 < sent < tokens
        connection.settimeout(5)
        connection.recv(65536)
        for _ in range(200):
            connection.recv(65536)
        mock.wait_for(lambda truth: truth["tokens_sent"] > sent)
    _ended(mock, "cancelled")


def test_a_second_request_before_the_first_answer_closes_the_connection(mock: Any) -> None:
    with mock.connect(mock={"fault": "hang"}) as connection:
        mock.wait_for(lambda truth: truth["running"] == 1)
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert _read(connection) == (b"", "closed")
    _ended(mock, "cancelled")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset", "hang"])
def test_other_pages_fail_too(mock: Any, fault: str) -> None:
    mock.change(path_faults={"/metrics": fault})
    with socket.create_connection(("127.0.0.1", mock.port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received, end = _read(connection)
    told = {"status:500": b" 500 ", "html": b"<html>", "garbage": b"\xff\xfe"}
    assert told.get(fault, b"") in received
    assert end == {"reset": "reset", "hang": "silent"}.get(fault, "closed")
    assert mock.http.get("/health").status_code == 200


def test_every_fault_can_be_written() -> None:
    assert {parse_fault(name) for name in PLAIN_FAULTS} == {Fault(name) for name in PLAIN_FAULTS}
    assert {parse_fault(f"{name}:7") for name in COUNTED_FAULTS} == {Fault(name, 7) for name in COUNTED_FAULTS}
    assert parse_fault("status:500") == Fault("status", 500)
    assert parse_fault(None) is None
    assert parse_fault("") is None


@pytest.mark.parametrize("wrong", ["bogus", "break", "break:", "break:-1", "break:x", "hang:1", "status:200", 5, "²:²"])
def test_a_wrong_fault_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse_fault(wrong)

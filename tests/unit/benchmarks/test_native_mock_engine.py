"""The benchmarks' mock engine answers byte for byte as the one of the tests, but for ids and times."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.mock_client import MockClient

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
WORDS: dict[str, Any] = {"messages": [{"role": "user", "content": "one two three"}]}
PARTS: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": 'Say "no"\nor \\ nothing.'},
        {"role": "user", "content": [{"type": "text", "text": " four  words and more "}, {"type": "image_url"}]},
    ]
}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (CHAT, {"model": "mock", **WORDS}),
    "no model": (CHAT, WORDS),
    "parts and escapes": (CHAT, {"model": "mock", **PARTS}),
    "cut": (CHAT, {"model": "mock", "max_tokens": 5, **WORDS}),
    "not cut": (CHAT, {"model": "mock", "max_completion_tokens": 50, **WORDS}),
    "a thousand and one tokens": (CHAT, {"mock": {"tokens": 1_001}, **WORDS}),
    "long prompt": (CHAT, {"messages": [{"role": "user", "content": "word " * 20_000}]}),
    "stream": (CHAT, {"model": "mock", "stream": True, **WORDS}),
    "stream with usage": (CHAT, {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 3, **WORDS}),
    "long stream": (CHAT, {"stream": True, "mock": {"tokens": 1_001}, **WORDS}),
    "paced stream": (CHAT, {"stream": True, "mock": {"ttft_s": 0.02, "interval_s": 0.005, "tokens": 4}, **WORDS}),
    "one token": (CHAT, {"stream": True, "max_tokens": 1, **WORDS}),
    "completion": (TEXT, {"model": "mock", "prompt": "one two"}),
    "streamed completion": (TEXT, {"prompt": "one", "stream": True, "stream_options": {"include_usage": True}}),
    "wrong model": (CHAT, {"model": "other", **WORDS}),
}


def _request(method: str, path: str, body: bytes, *, chunked: bool = False) -> bytes:
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    if chunked:
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n".encode()
    return head + framing + b"\r\n\r\n" + body


def _answer(port: int, *pieces: bytes) -> bytes:
    """All bytes of the answer, with ids and times replaced."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    received = re.sub(rb'"created":\d+', b'"created":0', received)
    return re.sub(rb"cmpl-mock-\d+", b"cmpl-mock-0", received)


def _without_sizes(answer: bytes) -> bytes:
    """An id may have more digits in one engine than in the other."""
    answer = re.sub(rb"content-length: \d+", b"content-length: 0", answer)
    return re.sub(rb"\r\n[0-9a-f]+\r\ndata:", b"\r\n0\r\ndata:", answer)


@pytest.mark.parametrize(("path", "fields"), REQUESTS.values(), ids=list(REQUESTS))
def test_it_answers_as_the_engine_of_the_tests(
    path: str, fields: dict[str, Any], mock: MockClient, native_engine: int
) -> None:
    request = _request("POST", path, json.dumps(fields).encode())
    expected = _without_sizes(_answer(mock.port, request))
    assert expected.startswith(b"HTTP/1.1 404" if fields.get("model") == "other" else b"HTTP/1.1 200")
    assert _without_sizes(_answer(native_engine, request)) == expected


@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("GET", "/v1/models"), ("GET", "/nothing")])
def test_its_other_endpoints_are_the_same(method: str, path: str, mock: MockClient, native_engine: int) -> None:
    request = _request(method, path, b"")
    assert _answer(native_engine, request) == _answer(mock.port, request)


def test_the_sizes_of_its_chunks_are_right(native_engine: int) -> None:
    body = json.dumps({"stream": True, **WORDS}).encode()
    _, _, rest = _answer(native_engine, _request("POST", CHAT, body)).partition(b"\r\n\r\n")
    rest = rest.replace(b'"created":0', b'"created":1700000000')
    events = 0
    while (line := rest.partition(b"\r\n"))[0] != b"0":
        size = int(line[0], 16)
        assert line[2][size : size + 2] == b"\r\n"
        rest, events = line[2][size + 2 :], events + 1
    assert events == 1 + 16 + 1


def test_a_request_may_come_in_chunks_and_in_pieces(native_engine: int) -> None:
    body = json.dumps({"model": "mock", **WORDS}).encode()
    whole = _answer(native_engine, _request("POST", CHAT, body))
    assert _answer(native_engine, _request("POST", CHAT, body, chunked=True)) == whole
    request = _request("POST", CHAT, body)
    with socket.create_connection(("127.0.0.1", native_engine), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            connection.sendall(bytes([byte]))
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert received.partition(b"\r\n\r\n")[2][-40:] == whole.partition(b"\r\n\r\n")[2][-40:]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":}', b'{"a":1}x', b'{"a":"', b"{" * 500, b'{"a":nil}'])
def test_what_is_not_an_object_of_json_is_refused(body: bytes, native_engine: int) -> None:
    assert _answer(native_engine, _request("POST", CHAT, body)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_its_counters_add_up_and_probes_are_apart(native_engine: int) -> None:
    plain, stream, probe = ({**WORDS, "max_tokens": 5}, {**WORDS, "stream": True}, {**WORDS, "max_tokens": 1})
    for fields in (plain, plain, stream, probe):
        _answer(native_engine, _request("POST", CHAT, json.dumps(fields).encode()))
    counters = _counters(native_engine)
    assert [counters[name] for name in ("requests", "finished", "running", "tokens_sent", "events_sent")] == [
        3, 3, 0, 2 * 5 + 16, 1 + 16 + 1,
    ]  # fmt: skip
    assert counters["probes"]["finished"] == 1


def test_a_client_that_goes_cancels_its_stream(native_engine: int) -> None:
    body = json.dumps({**WORDS, "stream": True, "mock": {"interval_s": 0.05, "tokens": 1_000}}).encode()
    with socket.create_connection(("127.0.0.1", native_engine), timeout=10) as connection:
        connection.sendall(_request("POST", CHAT, body))
        connection.recv(1)
        assert _counters(native_engine)["running"] == 1
    deadline = time.monotonic() + 10
    while _counters(native_engine)["running"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _counters(native_engine)["cancelled"] == 1


def test_a_client_that_reads_slowly_gets_everything(native_engine: int) -> None:
    body = json.dumps({**WORDS, "stream": True, "mock": {"tokens": 100_000}}).encode()
    with socket.create_connection(("127.0.0.1", native_engine), timeout=10) as connection:
        connection.sendall(_request("POST", CHAT, body))
        time.sleep(0.2)  # until the buffers between the two are full
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert received.count(b'"content":" w') == 100_000
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_its_behaviour_can_be_changed(native_engine: int) -> None:
    def change(fields: dict[str, Any]) -> bytes:
        return _answer(native_engine, _request("POST", "/mock", json.dumps(fields).encode()))

    assert change({"tokens": 2, "interval_s": 0, "ttft_s": 0, "events_per_write": 1}).startswith(b"HTTP/1.1 200")
    assert b'" w000 w001"' in _answer(native_engine, _request("POST", CHAT, json.dumps(WORDS).encode()))
    for wrong in ({"colour": 1}, {"tokens": -1}, {"events_per_write": 0}, {"tokens": "7"}):
        assert change(wrong).startswith(b"HTTP/1.1 400")


def _counters(port: int) -> dict[str, Any]:
    answer = _answer(port, _request("GET", "/mock", b""))
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found

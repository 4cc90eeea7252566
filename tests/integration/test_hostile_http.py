"""HTTP that means harm: smuggling, injection, heads without an end. Nothing of it reaches an engine or bends a log."""

import json
import time

import pytest
from tests.integration.parts.gateway import Gateway
from tests.integration.parts.mock import Mock, chat
from tests.integration.parts.program import until
from tests.integration.parts.raw import Raw, ask, encode
from tests.integration.parts.stage import Stage

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat()).encode()
SMUGGLED = b"GET /models/status HTTP/1.1\r\nhost: gateway\r\n\r\n"


@pytest.fixture(scope="module")
def mock(module_stage: Stage) -> Mock:
    return module_stage.mock()


@pytest.fixture(scope="module")
def front(module_stage: Stage, mock: Mock) -> Gateway:
    return module_stage.gateway(mock, IDLE_TIMEOUT="2")


def everything(gateway: Gateway, request: bytes) -> bytes:
    """What comes back until the connection ends or falls silent."""
    with Raw(gateway.port, timeout=1.5) as raw:
        raw.send(request)
        try:
            while raw.read():
                pass
        except (TimeoutError, ConnectionResetError):
            pass
        return raw.received


def head(*lines: str) -> bytes:
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", "host: gateway", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked", "content-length: 5"],
        ["content-length: 5", "content-length: 60"],
        ["content-length: 5, 60"],
        ["content-length: +5"],
        ["content-length: -1"],
        ["content-length: 5 5"],
        ["transfer-encoding: chunked", "transfer-encoding: identity", "content-length: 5"],
        ["transfer-encoding : chunked", "content-length: 5"],
        ["transfer-encoding: xchunked", "content-length: 5"],
    ],
    ids=" | ".join,
)
def test_a_request_of_two_lengths_is_refused_and_nothing_behind_it_is_served(
    front: Gateway, mock: Mock, lines: list[str]
) -> None:
    mock.change(reset=True)
    request = head(f"authorization: Bearer {front.key}", *lines) + b"0\r\n\r\n" + SMUGGLED
    received = everything(front, request)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert mock.truth()["requests"] == 0


@pytest.mark.parametrize(
    "given", ["two words", "a;b", 'a"b', "a\\nb", "%0d%0aset-cookie:x", "x" * 129, "키", "<script>"], ids=str
)
def test_a_harmful_request_id_is_replaced(front: Gateway, given: str) -> None:
    with Raw(front.port) as raw:
        lines = [f"authorization: Bearer {front.key}", f"content-length: {len(BODY)}", f"x-request-id: {given}"]
        answer = raw.send(head(*lines) + BODY).answer()
    assert answer.status == 200
    own = answer.headers["x-request-id"]
    assert own != given
    assert len(own) == 32
    assert "set-cookie" not in answer.headers
    until(lambda: bool(front.lines(request_id=own)), 5, "the request is in the log")
    assert given not in front.program.text()


def test_a_line_feed_in_a_header_begins_no_new_one(front: Gateway) -> None:
    lines = f"authorization: Bearer {front.key}\r\nx-request-id: a\nset-cookie: b=c\r\ncontent-length: {len(BODY)}"
    received = everything(front, head(*lines.split("\r\n")) + BODY)
    assert b"set-cookie" not in received.lower()


def test_a_clients_words_never_break_a_log_line(front: Gateway) -> None:
    for path in ('/v1/"}\\n{"level":"critical"', "/v1/%0a%0d{}", "/v1/\x1b[31mred"):
        assert ask(front.port, path, method="GET", key=front.key).status in {400, 404}
    assert ask(front.port, CHAT, {**chat(), "model": '"}\n{"level": "critical"'}, key=front.key).status == 404
    assert front.lines(level="critical") == []  # reads every line as JSON


def test_the_engine_sees_its_own_key_and_not_the_clients(stage: Stage) -> None:
    mock = stage.mock()
    gateway = stage.gateway(mock, ENGINE_KEY_FILE=str(stage.key_file))
    answer = ask(gateway.port, CHAT, chat(), key=gateway.key, headers={
        "cookie": "session=1", "x-vllm-priority": "-9", "x-request-id": "mine", "x-forwarded-for": "8.8.8.8",
    })  # fmt: skip
    assert answer.status == 200
    seen = mock.truth()["last_headers"]
    assert seen["authorization"] == f"Bearer {stage.key_file.read_text('ascii')}"
    assert seen["x-request-id"] == "mine"
    assert not {"cookie", "x-vllm-priority", "x-forwarded-for"} & set(seen)


def test_a_head_that_never_ends_is_dropped(front: Gateway) -> None:
    received = everything(front, head(*(f"x-{number}: {'y' * 1000}" for number in range(2_000)))[:-2])
    assert b" 200 " not in received
    assert ask(front.port, "/livez", method="GET").status == 200


def test_a_body_that_stops_coming_is_a_timeout(front: Gateway, mock: Mock) -> None:
    mock.change(reset=True)
    with Raw(front.port) as raw:
        began = time.monotonic()
        raw.send(encode(CHAT, b'{"model":', key=front.key, headers={"content-length": "100"}))
        answer = raw.answer()
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert 1.5 < time.monotonic() - began < 6
    assert mock.truth()["requests"] == 0

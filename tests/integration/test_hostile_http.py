"""Malicious HTTP: smuggling, injection, endless heads. None of it reaches an engine or corrupts the log."""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.gateway import Gateway
from tests.support.hostile import BROKEN_BODIES, BROKEN_HEADS, CORPUS, head
from tests.support.http.connection import RawConnection, send_request
from tests.support.http.message import encode_request
from tests.support.mock import Mock, chat
from tests.support.program import until
from tests.support.services import Services

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat()).encode()
SMUGGLED = b"GET /models/status HTTP/1.1\r\nhost: gateway\r\n\r\n"


@pytest.fixture(scope="module")
def mock(module_services: Services) -> Mock:
    return module_services.mock()


@pytest.fixture(scope="module")
def front(module_services: Services, mock: Mock) -> Gateway:
    return module_services.gateway(mock, IDLE_TIMEOUT="2")


def exchange(gateway: Gateway, request: bytes) -> bytes:
    """Everything received until the connection ends or falls silent."""
    with RawConnection(gateway.port, timeout=20) as raw:
        raw.send(request)
        try:
            while raw.read():
                pass
        except (TimeoutError, ConnectionResetError):
            pass
        return raw.received


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_request_is_refused_and_nothing_after_it_is_served(front: Gateway, mock: Mock, name: str) -> None:
    mock.change(reset=True)
    request = CORPUS[name].replace(b"host: gateway", f"host: gateway\r\nauthorization: Bearer {front.key}".encode(), 1)
    assert shape_of(exchange(front, request + SMUGGLED)) == "refused"
    assert mock.stats()["requests"] == 0


def test_every_hostile_request_is_refused_in_the_same_shape(front: Gateway, measured: Callable[[str], None]) -> None:
    shapes = Counter(shape_of(exchange(front, request)) for request in BROKEN_HEADS.values())
    measured(f"raw hostile requests: {len(BROKEN_HEADS)}, {dict(shapes)}")
    assert set(shapes) == {"refused"}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_hostile_body_after_its_response_ends_the_connection(front: Gateway, name: str) -> None:
    top, end, body = BROKEN_BODIES[name].partition(b"\r\n\r\n")
    with RawConnection(front.port, timeout=20) as raw:
        response = raw.send(top + end).read_response()
        assert (response.status, response.error["code"]) == (401, "missing_api_key")
        before = raw.received
        with suppress(ConnectionResetError, BrokenPipeError):
            raw.send(body + SMUGGLED)
            while raw.read():
                pass
        assert raw.received == before


def shape_of(received: bytes) -> str:
    """`refused`: one error in OpenAI's shape, then the end; `closed`: only the end; else what was received."""
    if not received:
        return "closed"
    top, _, body = received.partition(b"\r\n\r\n")
    status, *lines = top.lower().split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines]
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return received[:200].decode("latin-1")
    is_expected = (
        status.startswith(b"http/1.1 4")
        and names.count(b"x-request-id") == 1
        and {b"content-type: application/json", b"connection: close"} <= set(lines)
        and set(error) == {"message", "type", "param", "code"}
    )
    return "refused" if is_expected else received[:200].decode("latin-1")


@pytest.mark.timing
def test_a_header_of_50_mb_is_not_buffered_and_delays_no_other_request(front: Gateway) -> None:
    (worker,) = front.program.children()
    before = resident_mb(worker)
    with RawConnection(front.port) as raw, ThreadPoolExecutor() as pool:
        raw.send(b"GET /livez HTTP/1.1\r\nhost: gateway\r\nx: ")
        sending = pool.submit(lambda: [raw.send(b"y" * 1_000_000) for _ in range(50)])
        waits = []
        while not sending.done():
            began = time.monotonic()
            assert send_request(front.port, "/livez", method="GET").status == 200
            waits.append(time.monotonic() - began)
        sending.result()
        response = raw.read_response()
    assert (response.status, response.error["code"]) == (431, "headers_too_large")
    assert max(waits) < 2
    assert resident_mb(worker) - before < 20


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1_024


@pytest.mark.parametrize(
    "given", ["two words", "a;b", 'a"b', "a\\nb", "%0d%0aset-cookie:x", "x" * 129, "키", "<script>"], ids=str
)
def test_a_harmful_request_id_is_replaced(front: Gateway, given: str) -> None:
    with RawConnection(front.port) as raw:
        lines = [f"authorization: Bearer {front.key}", f"content-length: {len(BODY)}", f"x-request-id: {given}"]
        response = raw.send(head(*lines) + BODY).read_response()
    assert response.status == 200
    own = response.headers["x-request-id"]
    assert own != given
    assert len(own) == 32
    assert "set-cookie" not in response.headers
    until(lambda: bool(front.lines(request_id=own)), 5, "the request is in the log")
    assert given not in front.program.text()


def test_a_line_feed_in_a_header_starts_no_new_header(front: Gateway) -> None:
    lines = f"authorization: Bearer {front.key}\r\nx-request-id: a\nset-cookie: b=c\r\ncontent-length: {len(BODY)}"
    received = exchange(front, head(*lines.split("\r\n")) + BODY)
    assert b"set-cookie" not in received.lower()


def test_input_of_a_client_never_breaks_a_log_line(front: Gateway) -> None:
    for path in ('/v1/"}\\n{"level":"critical"', "/v1/%0a%0d{}", "/v1/\x1b[31mred"):
        assert send_request(front.port, path, method="GET", key=front.key).status in {400, 404}
    assert send_request(front.port, CHAT, {**chat(), "model": '"}\n{"level": "critical"'}, key=front.key).status == 404
    assert front.lines(level="critical") == []  # reads every line as JSON


def test_the_engine_receives_its_own_key_and_not_the_clients(services: Services) -> None:
    mock = services.mock()
    gateway = services.gateway(mock, ENGINE_KEY_FILE=str(services.key_file))
    response = send_request(gateway.port, CHAT, chat(), key=gateway.key, headers={
        "cookie": "session=1", "x-vllm-priority": "-9", "x-request-id": "mine", "x-forwarded-for": "8.8.8.8",
    })  # fmt: skip
    assert response.status == 200
    seen = mock.stats()["last_headers"]
    assert seen["authorization"] == f"Bearer {services.key_file.read_text('ascii')}"
    assert seen["x-request-id"] == "mine"
    assert not {"cookie", "x-vllm-priority", "x-forwarded-for"} & set(seen)


def test_a_head_that_never_ends_is_dropped(front: Gateway) -> None:
    received = exchange(front, head(*(f"x-{number}: {'y' * 1000}" for number in range(2_000)))[:-2])
    assert b" 200 " not in received
    assert send_request(front.port, "/livez", method="GET").status == 200


def test_a_body_that_stalls_times_out(front: Gateway, mock: Mock) -> None:
    mock.change(reset=True)
    with RawConnection(front.port) as raw:
        began = time.monotonic()
        raw.send(encode_request(CHAT, b'{"model":', key=front.key, headers={"content-length": "100"}))
        response = raw.read_response()
    assert (response.status, response.error["code"]) == (408, "request_timeout")
    assert time.monotonic() - began > 1.5
    assert mock.stats()["requests"] == 0

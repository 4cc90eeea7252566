"""Invalid input that the gateway itself refuses: status, OpenAI's error shape, a helpful message; no engine sees it."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.gateway import Gateway, new_key, write_keys
from tests.support.http.connection import RawConnection, send_request
from tests.support.http.message import Response, encode_request
from tests.support.mock import Mock, chat
from tests.support.program import until
from tests.support.services import Services

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
LIMIT = 65_536


@pytest.fixture(scope="module")
def mock(module_services: Services) -> Mock:
    return module_services.mock()


@pytest.fixture(scope="module")
def front(module_services: Services, mock: Mock) -> Gateway:
    return module_services.gateway(mock, workers=2, MAX_BODY_BYTES=str(LIMIT))


@pytest.fixture
def untouched(mock: Mock) -> Iterator[None]:
    """Nothing that the test sends may reach the engine."""
    mock.change(reset=True)
    yield
    assert mock.stats()["requests"] == 0


def refused(response: Response, status: int, code: str | None, param: str | None = None) -> str:
    """Checks a refusal; returns its message."""
    error = response.error
    assert (response.status, error["code"], error["param"]) == (status, code, param), error
    assert error["type"] == "invalid_request_error"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return str(error["message"])


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, EMBEDDINGS, "/v1/models", "/models/status"])
def test_a_request_without_a_valid_key(front: Gateway, path: str) -> None:
    method, body = ("GET", None) if "models" in path else ("POST", chat(prompt="x", input="x"))
    missing = send_request(front.port, path, body, method=method)
    assert "Authorization: Bearer" in refused(missing, 401, "missing_api_key")
    wrong = send_request(front.port, path, body, method=method, key="gh-wrong")
    assert "not known" in refused(wrong, 401, "invalid_api_key")
    assert {missing.headers["www-authenticate"], wrong.headers["www-authenticate"]} == {"Bearer"}
    basic = send_request(front.port, path, body, method=method, headers={"authorization": f"Basic {front.key}"})
    assert "Bearer YOUR_KEY" in refused(basic, 401, "missing_api_key")
    assert front.key.encode() not in missing.body + wrong.body + basic.body


@pytest.mark.timing
def test_a_revoked_key_is_refused_within_five_seconds(
    services: Services, mock: Mock, measured: Callable[[str], None]
) -> None:
    gateway = services.gateway(mock, workers=2)
    other = new_key()
    write_keys(gateway.keys_file, {"tester": gateway.key, "other": other})
    until(lambda: send_request(gateway.port, CHAT, chat(), key=other).status == 200, 5, "the new key is accepted")
    write_keys(gateway.keys_file, {"tester": gateway.key, "other": other}, revoked=frozenset({"other"}))
    revoked, last_good = time.monotonic(), 0.0
    while (now := time.monotonic()) < revoked + 5:  # both workers must know; which one responds is random
        if send_request(gateway.port, CHAT, chat(), key=other).status == 200:
            last_good = now - revoked
    assert last_good < 4.9
    assert "revoked" in refused(send_request(gateway.port, CHAT, chat(), key=other), 401, "revoked_api_key")
    assert send_request(gateway.port, CHAT, chat(), key=gateway.key).status == 200
    measured(f"a revoked key was last accepted {last_good:.2f} s after its revocation (2 workers)")


def test_an_invalid_keys_file_changes_nothing(services: Services, mock: Mock) -> None:
    gateway = services.gateway(mock)
    gateway.keys_file.write_text("keys: [", encoding="utf-8")
    until(lambda: bool(gateway.lines(level="error")), 5, "the invalid file is in the log")
    assert send_request(gateway.port, CHAT, chat(), key=gateway.key).status == 200
    (line,) = gateway.lines(level="error")
    assert "keys.yaml' is not valid YAML" in line["message"]
    write_keys(gateway.keys_file, {"tester": (key := new_key())})
    until(lambda: send_request(gateway.port, CHAT, chat(), key=key).status == 200, 5, "the next valid file is loaded")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "path", ["/v1/made-up", "/v1/chat/completions/", "/V1/CHAT/COMPLETIONS", "/metrics", "/v1/../metrics", "//",
             "/tokenize", "/invocations", "/v1/load_lora_adapter", "/.env"],
)  # fmt: skip
def test_an_unknown_path(front: Gateway, path: str) -> None:
    for method in ("GET", "POST"):
        response = send_request(front.port, path, chat(), method=method, key=front.key)
        assert "no such path" in refused(response, 404, "not_found")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", CHAT, "POST"), ("PUT", COMPLETIONS, "POST"), ("DELETE", EMBEDDINGS, "POST"),
     ("POST", "/v1/models", "GET, HEAD"), ("POST", "/readyz", "GET, HEAD"), ("PATCH", "/models/status", "GET, HEAD"),
     ("OPTIONS", CHAT, "POST")],
)  # fmt: skip
def test_a_wrong_method(front: Gateway, method: str, path: str, allow: str) -> None:
    response = send_request(front.port, path, method=method, key=front.key)
    assert allow in refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allow


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\x00", b"not json", b'{"model": "mock"} {}', b'{"model": "mock", "temperature": NaN}',
        b'{"model": "mock", "temperature": Infinity}', b'{"model": "mock\xff"}', b'{"model": "\\ud800"}',
        b'{"model": "mock", "n": 1e999}', b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"model": "mock", "messages": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    ],
    ids=["empty", "begun", "nul", "text", "two", "NaN", "Infinity", "no UTF-8", "half a surrogate", "huge number",
         "deep and open", "deep objects", "deep lists"],
)  # fmt: skip
def test_invalid_json(front: Gateway, body: bytes) -> None:
    message = refused(send_request(front.port, CHAT, body, key=front.key), 400, None)
    assert "valid JSON" in message


MESSAGES = [{"role": "user", "content": "x"}]
WRONG: list[tuple[str, Any, str | None]] = [
    (CHAT, [], None),
    (CHAT, "text", None),
    (CHAT, 3, None),
    (CHAT, {"messages": MESSAGES}, "model"),
    (CHAT, {"model": 3, "messages": MESSAGES}, "model"),
    (CHAT, {"model": "", "messages": MESSAGES}, "model"),
    (CHAT, chat(stream="yes"), "stream"),
    (CHAT, chat(stream=1), "stream"),
    (CHAT, chat(stream=True, stream_options="usage"), "stream_options"),
    (CHAT, chat(stream=True, stream_options={"include_usage": "yes"}), "stream_options.include_usage"),
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("path", "body", "param"), WRONG, ids=lambda value: json.dumps(value)[:60])
def test_a_wrong_type_is_named(front: Gateway, path: str, body: Any, param: str | None) -> None:
    message = refused(send_request(front.port, path, body, key=front.key), 400, None, param)
    assert param is None or f"'{param}'" in message


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["made-up", "../mock", "mock\n", "m" * 5_000, "한국어"])
def test_an_unknown_model(front: Gateway, name: str) -> None:
    message = refused(
        send_request(front.port, CHAT, {**chat(), "model": name}, key=front.key), 404, "model_not_found", "model"
    )
    assert message.endswith("There is: mock.")
    assert name not in front.exposition()


@pytest.mark.usefixtures("untouched")
def test_a_body_whose_announced_length_is_too_large_is_refused_unread(front: Gateway) -> None:
    with RawConnection(front.port, timeout=1) as raw:
        raw.send(encode_request(CHAT, b"{", key=front.key, headers={"content-length": str(10**9)}))
        assert str(LIMIT) in refused(raw.read_response(), 413, "request_too_large")
        # What follows still belongs to that body: it is not a request.
        answered = raw.received
        with contextlib.suppress(TimeoutError, ConnectionError):
            raw.send(encode_request(CHAT, chat(), key=front.key))
            raw.read()
        assert raw.received == answered


@pytest.mark.usefixtures("untouched")
def test_a_chunked_body_that_grows_too_large_is_refused(front: Gateway) -> None:
    head = encode_request(CHAT, key=front.key, headers={"transfer-encoding": "chunked"}).replace(
        b"content-length: 0\r\n", b""
    )
    with RawConnection(front.port) as raw:
        raw.send(head)
        for _ in range(LIMIT // 8_192 + 1):
            raw.send(b"2000\r\n" + b" " * 8_192 + b"\r\n")
        assert str(LIMIT) in refused(raw.read_response(), 413, "request_too_large")


def test_a_body_of_exactly_the_limit_is_accepted(front: Gateway) -> None:
    body = json.dumps(chat()).encode()
    assert send_request(front.port, CHAT, body.ljust(LIMIT), key=front.key).status == 200
    assert send_request(front.port, CHAT, body.ljust(LIMIT + 1), key=front.key).status == 413

"""What a client can get wrong on a relayed path: each answered, named, counted, and never seen by an engine."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import CHAT, EMBEDDINGS, LIMITED_KEY, TEXT, Gateway, chat, nonzero_samples
from tests.support.in_process.wire import Wire, dial, plain, post, raw_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

DEEP = b"[" * 2000 + b"]" * 2000
USER = '"messages":[{"role":"user","content":"x"}]'
BAD: dict[str, tuple[bytes, str | None]] = {
    "empty": (b"", None),
    "no JSON": (b"hello", None),
    "cut off": (b'{"model":"mock"', None),
    "a list": (b"[]", None),
    "a string": (b'"x"', None),
    "null": (b"null", None),
    "NaN": (b'{"model":"mock",%b,"x":NaN}' % USER.encode(), None),
    "Infinity": (b'{"model":"mock",%b,"x":-Infinity}' % USER.encode(), None),
    "invalid UTF-8": (b'{"model":"mock",%b,"x":"\xff\xfe"}' % USER.encode(), None),
    "a lone surrogate": (b'{"model":"mock",%b,"x":"\\ud800"}' % USER.encode(), None),
    "too deep": (b'{"model":"mock",%b,"x":%b}' % (USER.encode(), DEEP), None),
    "gzip": (b"\x1f\x8b\x08\x00", None),
    "no model": (b"{%b}" % USER.encode(), "model"),
    "model no string": (b'{"model":7,%b}' % USER.encode(), "model"),
    "model empty": (b'{"model":"",%b}' % USER.encode(), "model"),
    "stream no boolean": (b'{"model":"mock",%b,"stream":"yes"}' % USER.encode(), "stream"),
    "stream a number": (b'{"model":"mock",%b,"stream":1}' % USER.encode(), "stream"),
    "max_tokens huge": (b'{"model":"mock",%b,"max_tokens":%b}' % (USER.encode(), b"9" * 400), None),
    "stream_options": (b'{"model":"mock",%b,"stream":true,"stream_options":[]}' % USER.encode(), "stream_options"),
    "include_usage": (
        b'{"model":"mock",%b,"stream":true,"stream_options":{"include_usage":"y"}}' % USER.encode(),
        "stream_options.include_usage",
    ),
}


def _error(answer: Any) -> dict[str, Any]:
    content: dict[str, Any] = answer.json()
    assert set(content) == {"error"}
    assert set(content["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = content["error"]
    return error


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_body_is_400_and_names_the_field(gateway: Gateway, alpha: Mock, name: str) -> None:
    body, param = BAD[name]
    answer = await gateway.http.post(CHAT, content=body)
    assert answer.status_code == 400, answer.text
    error = _error(answer)
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert error["param"] == param
        assert param.partition("[")[0].rpartition(".")[2] in error["message"]
    await gateway.ended("client_error", 400, stream=False, model="none")
    assert (await alpha.truth())["requests"] == 0
    assert nonzero_samples(gateway.metrics.engine_requests) == {}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (TEXT, {"prompt": "x", "max_tokens": 0, "echo": True, "logprobs": 1}),
        (TEXT, {"prompt_embeds": "AAAA"}),
        (TEXT, {"prompt": [[1, 2], [3]]}),
        (CHAT, {"messages": []}),
        (CHAT, {"messages": "what", "n": -1}),
        (EMBEDDINGS, {"input": {"text": "x"}}),
    ],
)
async def test_what_the_gateway_need_not_read_reaches_the_engine_as_it_is(
    serve: Serve, path: str, fields: dict[str, Any], stream: bool
) -> None:
    async def refuse(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b'{"error":{"message":"not like this","param":"x"}}', status="422 Unprocessable"))

    async with raw_engine(refuse) as engine:
        gateway = await serve(engine)
        answer = await gateway.post(path, model="mock", stream=stream, **fields)
        assert (answer.status_code, _error(answer)["message"]) == (422, "not like this")
        sent = json.loads(engine.bodies[0])
        assert {name: sent[name] for name in fields} == fields


async def test_an_unknown_model_is_404_and_no_label(gateway: Gateway, alpha: Mock) -> None:
    for stream in (False, True):
        answer = await gateway.chat(model="canary-model\n{}", stream=stream)
        error = _error(answer)
        assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert "mock" in error["message"]
        assert "canary" not in answer.text
    await gateway.settled(2)
    assert nonzero_samples(gateway.metrics.requests) == {
        (CHAT, "other", stream, "client_error", "404"): 1 for stream in ("true", "false")
    }
    assert b"canary" not in gateway.output.getvalue()
    assert (await alpha.truth())["requests"] == 0


async def test_a_body_that_says_it_is_too_large(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=2048)
    async with dial(gateway.port) as client:
        head, _, _ = post(b"").partition(b"content-length")
        await client.send(head + b"content-length: 2049\r\n\r\n")
        body = await client.message()  # before a single byte of the body
        error = json.loads(body)["error"]
        assert client.head.startswith(b"HTTP/1.1 413 ")
        if b"\r\nconnection: close\r\n" not in client.head:
            await client.send(b" " * 2049 + post())
            await client.message()
            assert client.head.startswith(b"HTTP/1.1 200 "), "what follows the body is a request of its own"
    assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
    assert "2048" in error["message"]
    counted = nonzero_samples(gateway.metrics.requests)
    assert counted[CHAT, "none", "false", "client_error", "413"] == 1


async def test_a_chunked_body_that_grows_too_large(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=2048)
    async with dial(gateway.port) as client:
        await client.send(post(b"", "transfer-encoding: chunked") + b"400\r\n" + b" " * 1024 + b"\r\n")
        await client.send((b"400\r\n" + b" " * 1024 + b"\r\n") * 2)  # and no end
        body = await client.message()
        assert client.head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["error"]["code"] == "request_too_large"
    await gateway.ended("client_error", 413, stream=False, model="none")


async def test_a_client_that_sends_all_of_it_still_reads_its_413(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=2048)
    answer = await gateway.http.post(CHAT, content=b" " * 4_000_000)
    assert answer.status_code == 413
    await gateway.ended("client_error", 413, stream=False, model="none")


async def test_a_body_of_exactly_the_limit_is_taken(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=2048)
    body = json.dumps(chat()).encode().ljust(2048)
    assert (await gateway.http.post(CHAT, content=body)).status_code == 200
    assert (await gateway.http.post(CHAT, content=body + b" ")).status_code == 413


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Basic abc", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer wrong", "invalid_api_key"),
        ("Bearer \u00ff\u00fe", "invalid_api_key"),
    ],
)
async def test_no_good_key_is_401(gateway: Gateway, alpha: Mock, authorization: str | None, code: str) -> None:
    del gateway.http.headers["authorization"]
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    answer = await gateway.http.post(CHAT, json=chat(), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    error = _error(answer)
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "wrong" not in error["message"]
    await gateway.ended("client_error", 401, stream=False, model="none")
    assert nonzero_samples(gateway.metrics.auth_failures) == {(code,): 1}
    assert nonzero_samples(gateway.metrics.key_requests) == {}
    assert gateway.requests()[0]["key"] is None
    assert (await alpha.truth())["requests"] == 0


async def test_a_key_that_may_not_use_the_model_is_403(gateway: Gateway, alpha: Mock) -> None:
    answer = await gateway.http.post(CHAT, json=chat(), headers={"authorization": f"Bearer {LIMITED_KEY}"})
    error = _error(answer)
    assert (answer.status_code, error["code"], error["param"]) == (403, "model_not_allowed", "model")
    assert "other-model" in error["message"]
    await gateway.settled(1)
    assert gateway.requests()[0]["key"] == "limited"
    assert (await alpha.truth())["requests"] == 0


@pytest.mark.parametrize("path", [CHAT, TEXT, EMBEDDINGS])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_wrong_method_is_405_and_says_which_is_right(gateway: Gateway, path: str, method: str) -> None:
    answer = await gateway.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert _error(answer)["code"] == "method_not_allowed"
    await gateway.ended("client_error", 405, stream=False, model="none", path=path)


async def test_a_loading_engine_is_503_model_loading(serve: Serve, llama: Mock) -> None:
    await llama.change(health=503)
    gateway = await serve(llama)
    answer = await gateway.chat()
    error = _error(answer)
    assert (answer.status_code, error["type"], error["code"]) == (503, "service_unavailable", "model_loading")
    assert int(answer.headers["retry-after"]) > 0
    assert "loading the model" in error["message"]
    await gateway.ended("engine_error", 503, stream=False, model="other")
    await llama.change(health=200)
    await llama.wait_for(lambda truth: truth["probes"]["finished"] > 0)
    assert (await gateway.chat()).status_code == 200


async def test_engine_errors_of_odd_shapes_are_openais(serve: Serve) -> None:
    bodies = [b'{"detail":"Not Found"}', b'{"error":"text"}', b"<html>no</html>", b"", b"\xff\xfe", b"[1]", b"null"]

    async def refuse(wire: Wire, _: bytes) -> None:
        await wire.send(plain(bodies[0], status="404 Not Found"))

    async with raw_engine(refuse) as engine:
        gateway = await serve(engine)
        while bodies:
            answer = await gateway.chat()
            error = _error(answer)
            assert (answer.status_code, error["code"]) == (400, "unsupported_endpoint")
            assert isinstance(error["message"], str)
            bodies.pop(0)
            if not bodies:
                break
        assert "internal_error" not in {line["outcome"] for line in gateway.requests()}


async def test_a_body_may_take_its_time_as_long_as_it_comes(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, idle_timeout=0.6)
    request = post()
    cut = len(request) - 60
    async with dial(gateway.port) as client:
        await client.send(request[:cut])
        for start in range(cut, len(request), 6):  # three times as long as it may be silent
            await asyncio.sleep(0.2)
            await client.send(request[start : start + 6])
        assert b"choices" in await client.message()
    await gateway.ended("ok", 200, stream=False)

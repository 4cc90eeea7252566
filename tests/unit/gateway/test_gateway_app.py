"""The outermost layer: request ids, unknown paths, wrong methods, errors on every path, and what is counted of them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import CHAT, Gateway, chat, nonzero_samples, until
from tests.support.in_process.wire import dial, post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

MADE = re.compile(r"[0-9a-f]{32}")
PATHS = [
    ("POST", CHAT),
    ("GET", "/livez"),
    ("GET", "/v1/models"),
    ("GET", "/nowhere"),
    ("PUT", "/livez"),
    ("GET", CHAT),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_answer_has_a_request_id(gateway: Gateway, method: str, path: str) -> None:
    made = [(await gateway.http.request(method, path)).headers.get_list("x-request-id") for _ in range(2)]
    assert all(len(ids) == 1 and MADE.fullmatch(ids[0]) for ids in made)
    assert made[0] != made[1]
    answer = await gateway.http.request(method, path, headers={"x-request-id": "My-own.id_1:2"})
    assert answer.headers.get_list("x-request-id") == ["My-own.id_1:2"]


HOSTILE = [
    "a b",
    "a\tb",
    "a,b",
    'a"b',
    "a\\nb",
    "{x}",
    "<script>",
    "a;b",
    "x" * 129,
    "\u00e9".encode().decode("latin-1"),
    "../../etc",
    "%0d%0aset-cookie:a",
]


@pytest.mark.parametrize("given", HOSTILE)
@pytest.mark.parametrize("path", [CHAT, "/livez"])
async def test_a_hostile_request_id_is_replaced(gateway: Gateway, alpha: Mock, path: str, given: str) -> None:
    async with dial(gateway.port) as client:
        if path == CHAT:
            await client.send(post(chat()).replace(b"\r\n", b"\r\nx-request-id: %b\r\n" % given.encode("latin-1"), 1))
        else:
            await client.send(
                b"GET %b HTTP/1.1\r\nhost: a\r\nx-request-id: %b\r\n\r\n" % (*(path.encode(), given.encode("latin-1")),)
            )
        await client.message()
    ids = re.findall(rb"\r\nx-request-id: ([^\r]*)\r\n", client.head)
    assert len(ids) == 1
    assert MADE.fullmatch(ids[0].decode())
    assert client.head.startswith(b"HTTP/1.1 200 ")
    if path == CHAT:
        assert (await alpha.truth())["last_headers"]["x-request-id"] == ids[0].decode()
        await gateway.settled(1)
        assert gateway.requests()[0]["request_id"] == ids[0].decode()


async def test_a_request_id_of_the_longest_kind_is_kept(gateway: Gateway) -> None:
    given = "x" * 128
    assert (await gateway.http.get("/livez", headers={"x-request-id": given})).headers["x-request-id"] == given


UNKNOWN = [
    *("/nowhere", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "//v1/chat/completions", "/V1/chat/completions"),
    *("/v1/chat/completions/../completions", "/v1/audio/speech", "/metrics", "/admin", "/v1/chat%2Fcompletions2"),
    *("/.env", "/v1/load_lora_adapter", "/sleep", "/props", "/slots", "/livez/", "/v1/models/"),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", UNKNOWN)
async def test_an_unknown_path_is_404_and_reaches_no_engine(
    gateway: Gateway, alpha: Mock, method: str, path: str
) -> None:
    async with dial(gateway.port) as client:
        key = gateway.http.headers["authorization"].encode()
        head = b"%b %b HTTP/1.1\r\nhost: a\r\nauthorization: %b\r\n" % (method.encode(), path.encode(), key)
        body = json.dumps(chat()).encode()
        await client.send(head + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        answer = await client.message()
    allowed = {b"404", b"405"} if path == "/v1/models/" and method == "POST" else {b"404"}
    assert client.head.split(b" ")[1] in allowed, client.head
    error = json.loads(answer)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    await gateway.settled(1)
    assert (await alpha.truth())["requests"] == 0


async def test_an_unknown_path_is_no_label(gateway: Gateway) -> None:
    for number in range(5):
        answer = await gateway.http.get(f"/canary-{number}?x=canary")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
        assert "canary" not in answer.text
    await gateway.settled(5)
    assert nonzero_samples(gateway.metrics.requests) == {("other", "none", "false", "client_error", "404"): 5}
    assert b"canary" not in gateway.output.getvalue()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/health", "/", "/v1/models", "/models/status"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_405_with_allow(gateway: Gateway, path: str, method: str) -> None:
    answer = await gateway.http.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert answer.headers.get_list("allow") == [answer.headers["allow"]]
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("method_not_allowed", "invalid_request_error")
    await gateway.settled(1)
    assert nonzero_samples(gateway.metrics.requests) == {(path, "none", "false", "client_error", "405"): 1}


async def test_health_checks_are_counted_and_not_logged(gateway: Gateway) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/health"):
        assert (await gateway.http.get(path)).status_code == 200
    await gateway.settled(4)
    assert gateway.requests() == []
    assert {key[0] for key in nonzero_samples(gateway.metrics.requests)} == {"/livez", "/readyz", "/healthz", "/health"}


async def test_a_model_in_a_path_is_no_label(gateway: Gateway) -> None:
    for model in ("mock", "canary"):
        await gateway.http.get(f"/v1/models/{model}")
    await gateway.settled(2)
    assert {key[0] for key in nonzero_samples(gateway.metrics.requests)} == {"/v1/models/{model:path}"}


async def test_a_fault_of_the_gateway_itself_is_answered_as_any_error(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("canary-of-a-local-variable")

    for target in ("models", "choose"):
        monkeypatch.setattr(gateway.fleet, target, broken)
    for method, path in (("GET", "/v1/models"), ("POST", CHAT)):
        answer = await gateway.http.request(method, path, json=chat(), headers={"x-request-id": "id-1"})
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/json", path
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("server_error", "internal_error")
        assert "id-1" in error["message"], "what to look for in the log"
        assert "canary" not in error["message"]
        assert answer.headers.get_list("x-request-id") == ["id-1"]
    await gateway.settled(2)
    outcomes = {(line["outcome"], line["status"], line["error_code"]) for line in gateway.requests()}
    assert outcomes == {("internal_error", 500, "internal_error")}


async def test_two_requests_on_one_connection_have_ids_of_their_own(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        ids = set()
        for _ in range(3):
            await client.send(post())
            await client.message()
            ids.add(re.findall(rb"x-request-id: (\w+)", client.head)[0])
    assert len(ids) == 3


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    async with dial(gateway.port) as client:
        ids = [b"one", b"two", b"three"]
        await client.send(b"".join(post().replace(b"\r\n", b"\r\nx-request-id: %b\r\n" % name, 1) for name in ids))
        for name in ids:
            await client.message()
            assert b"\r\nx-request-id: %b\r\n" % name in client.head
    await gateway.settled(3)


SMUGGLED = [
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
    b'content-length: 5\r\ncontent-length: 6\r\n\r\n{"a":1',
    b"content-length: -5\r\n\r\n",
    b"content-length: 99999999999999999999999\r\n\r\n",
    b"content-length: abc\r\n\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLED)
async def test_smuggling_reaches_no_engine(gateway: Gateway, alpha: Mock, rest: bytes) -> None:
    key = gateway.http.headers["authorization"].encode()
    async with dial(gateway.port) as client:
        await client.send(b"POST %b HTTP/1.1\r\nhost: a\r\nauthorization: %b\r\n%b" % (CHAT.encode(), key, rest))
        answer = await asyncio.wait_for(client.reader.read(65536), 3)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b" 200 " not in answer
    assert (await alpha.truth())["requests"] == 0


async def test_a_fault_of_the_gateways_own_in_an_attempt_is_no_cancel(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.relay.Relay._send_plain", broken)
    assert (await gateway.chat()).status_code == 500
    await gateway.ended("internal_error", 500, stream=False)
    assert {key[1] for key in nonzero_samples(gateway.metrics.engine_requests)} == {"error"}


@pytest.mark.parametrize(
    "path",
    [
        *("/livez", "/readyz", "/healthz", "/", "/v1/models", "/v1/models/mock", "/v1/models/none"),
        *("/openapi.json", "/docs", "/nowhere"),
    ],
)
async def test_head_works_wherever_get_does(gateway: Gateway, path: str) -> None:
    async with dial(gateway.port) as client:
        key = gateway.http.headers["authorization"].encode()
        request = b"%b " + path.encode() + b" HTTP/1.1\r\nhost: a\r\nauthorization: %b\r\n\r\n"
        await client.send(request % (b"HEAD", key))
        head = await client.until(b"\r\n\r\n")
        await client.send(request % (b"GET", key))
        body = await client.message()
    drop = re.compile(rb"x-request-id: \w+\r\n")
    assert drop.sub(b"", head) == drop.sub(b"", client.head)
    assert b"content-length: %d\r\n" % len(body) in head
    await gateway.settled(2)


async def test_head_of_a_relayed_path_says_what_it_takes(gateway: Gateway) -> None:
    answer = await gateway.http.head(CHAT)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")
    assert (await gateway.http.get("/livez")).status_code == 200  # nothing lies before the next answer


async def test_head_is_in_no_description_and_in_every_allow(gateway: Gateway) -> None:
    paths = (await gateway.http.get("/openapi.json")).json()["paths"]
    assert not [path for path, methods in paths.items() if "head" in methods]
    assert (await gateway.http.delete("/livez")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("left", [True, False])
async def test_a_route_that_is_cancelled_before_its_head_is_no_fault(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    begun = asyncio.Event()

    async def hangs(*_: Any) -> None:
        begun.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(gateway.app, "_fallback", hangs)
    async with dial(gateway.port) as client:
        before = set(gateway.server.server_state.tasks)
        await client.send(b"GET /livez2 HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.wait_for(begun.wait(), 5)
        (task,) = gateway.server.server_state.tasks - before
        if left:
            client.writer.transport.abort()
            await until(lambda: any(connection._half_closed for connection in gateway.server.connections))
        task.cancel()
        if not left:
            error = json.loads(await client.message())["error"]
            assert error["code"] == "shutting_down"
    await gateway.settled(1)
    expected = ("cancelled", "499") if left else ("internal_error", "503")
    assert nonzero_samples(gateway.metrics.requests) == {("other", "none", "false", *expected): 1}
    assert not [line for line in gateway.lines() if line["level"] in {"error", "critical"}]

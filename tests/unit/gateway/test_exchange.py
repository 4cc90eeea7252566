"""One request and its answer, over ASGI messages that a test writes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.dialects import DEFAULT_DIALECT
from gateway.errors import (
    BodyTooLarge,
    ClientDisconnected,
    EngineBadResponse,
    InvalidRequest,
    MethodNotAllowed,
    Unauthorized,
)
from gateway.exchange import ABORT_EXTENSION, Exchange, exchange_of, request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.telemetry.recorder import Recorder

    Begin = Callable[["Asgi"], Exchange]

GONE = {"type": "http.disconnect"}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Asgi:
    """An ASGI server by hand: what it says to the application, and what it has been told."""

    def __init__(
        self, *messages: dict[str, Any], headers: dict[bytes, bytes] | None = None, method: str = "POST"
    ) -> None:
        self.messages = [*messages]
        self.sent: list[dict[str, Any]] = []
        self.aborted = 0
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "headers": list((headers or {}).items()),
            "extensions": {ABORT_EXTENSION: {"abort": self.abort}},
        }

    def abort(self) -> None:
        self.aborted += 1
        self.messages = [GONE]

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.sleep(60)
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def head(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


@pytest.fixture
def begin(recorder: Recorder) -> Begin:
    def make(asgi: Asgi) -> Exchange:
        return Exchange(asgi.scope, asgi.receive, asgi.send, recorder.begin("id-1", "other"), DEFAULT_DIALECT)

    return make


async def test_a_body_comes_in_pieces(begin: Begin) -> None:
    calls: list[int] = []
    asgi = Asgi(piece(b"a", more=True), piece(b"", more=True), piece(b"bc", more=True), piece(b"d"))
    assert await begin(asgi).read_body(10, progress=calls.append) == b"abcd"
    assert calls == [1, 3, 4]


async def test_a_body_that_says_that_it_is_too_long_is_not_read(begin: Begin) -> None:
    asgi = Asgi(piece(b"x" * 11), headers={b"content-length": b"11"})
    with pytest.raises(BodyTooLarge):
        await begin(asgi).read_body(10)
    assert len(asgi.messages) == 1


async def test_a_client_that_leaves_while_it_sends(begin: Begin) -> None:
    with pytest.raises(ClientDisconnected):
        await begin(Asgi(piece(b"a", more=True), GONE)).read_body(10)


async def test_an_answer_in_pieces_has_the_requests_id(begin: Begin) -> None:
    asgi = Asgi()
    exchange = begin(asgi)
    await exchange.write_head(200, exchange.plain_headers(2))
    await exchange.write(b"a")
    await exchange.end(b"b")
    assert asgi.head == {b"content-type": b"application/json", b"content-length": b"2", b"x-request-id": b"id-1"}
    assert [message.get("more_body", False) for message in asgi.sent[1:]] == [True, False]
    assert (asgi.body, exchange.observation.status) == (b"ab", 200)


async def test_what_an_answer_cost_is_in_its_head(begin: Begin) -> None:
    exchange = begin(Asgi())
    exchange.observation.cost = 0.0000012
    assert exchange.plain_headers(None) == [(b"content-type", b"application/json"), (b"x-cost-usd", b"0.000001200000")]


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (Unauthorized("no"), b"www-authenticate", b"Bearer"),
        (MethodNotAllowed("no", allow="POST"), b"allow", b"POST"),
        (EngineBadResponse("no", retry_after=7), b"retry-after", b"7"),
        (EngineBadResponse("no"), b"x-should-retry", b"false"),
    ],
)
async def test_an_error_before_the_first_byte_is_an_answer(begin: Begin, error: Any, name: bytes, value: bytes) -> None:
    asgi = Asgi()
    exchange = begin(asgi)
    await exchange.fail(error)
    assert (asgi.sent[0]["status"], exchange.observation.status) == (error.http_status, error.http_status)
    assert json.loads(asgi.body)["error"]["message"] == "no"
    assert asgi.head[name] == value
    assert asgi.head[b"content-length"] == str(len(asgi.body)).encode()


async def test_an_error_behind_the_first_byte_of_a_stream_is_its_last_event(begin: Begin) -> None:
    asgi = Asgi()
    exchange = begin(asgi)
    exchange.observation.stream = True
    await exchange.write_head(200, ())
    await exchange.fail(EngineBadResponse("boom"))
    assert asgi.body == b"data: %b\n\n" % DEFAULT_DIALECT.error_body(EngineBadResponse("boom"))
    assert (asgi.sent[-1].get("more_body", False), asgi.aborted) == (False, 0)


async def test_an_error_behind_the_first_byte_of_a_plain_answer_cuts_the_connection(begin: Begin) -> None:
    asgi = Asgi()
    exchange = begin(asgi)
    await exchange.write_head(200, ())
    await exchange.fail(EngineBadResponse("boom"))
    assert (len(asgi.sent), asgi.aborted) == (1, 1)


async def test_nobody_answers_a_client_that_has_gone(begin: Begin) -> None:
    asgi = Asgi()
    await begin(asgi).fail(ClientDisconnected("gone"))
    assert (asgi.sent, asgi.aborted) == ([], 1)


async def test_a_client_that_does_not_read_its_error_is_cut_off(begin: Begin, monkeypatch: Any) -> None:
    async def hangs(_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("gateway.exchange._ERROR_SEND_TIMEOUT_S", 0.01)
    asgi = Asgi()
    monkeypatch.setattr(asgi, "send", hangs)
    await begin(asgi).fail(InvalidRequest("no"))
    assert asgi.aborted == 1


@pytest.mark.parametrize(("messages", "code"), [([], "shutting_down"), ([GONE], "client_closed_request")])
async def test_why_a_request_was_cancelled(begin: Begin, messages: list[Any], code: str) -> None:
    assert (await begin(Asgi(*messages)).cancellation_reason()).code == code


async def test_another_application_answers(begin: Begin) -> None:
    class Route:
        path = "/models/{name}"

    asgi = Asgi(method="HEAD")
    exchange = begin(asgi)

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert exchange_of(scope) is exchange
        assert scope["method"] == "GET", "HEAD works wherever GET does"
        scope["route"] = Route()
        await send({"type": "http.response.start", "status": 404, "headers": [(b"a", b"b")]})

    await exchange.delegate(app)
    assert asgi.head == {b"a": b"b", b"x-request-id": b"id-1"}
    assert (exchange.observation.status, exchange.observation.route) == (404, "/models/{name}")


@pytest.mark.parametrize("given", [b"My-own.id_1:2", b"x" * 128])
def test_a_request_id_that_is_safe_is_kept(given: bytes) -> None:
    assert request_id({"headers": [(b"x-request-id", given)]}) == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"\xff"])
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    made = {request_id({"headers": [(b"x-request-id", given)]}) for _ in range(2)}
    assert len(made) == 2
    assert all(len(name) == 32 for name in made)

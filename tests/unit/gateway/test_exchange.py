"""One request and its answer, over ASGI messages that a test writes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.asgi import DISCONNECT, FakeAsgi, exchange_on

from gateway.asgi_exchange import AsgiExchange, exchange_of
from gateway.dialects import DEFAULT_DIALECT
from gateway.errors import (
    ClientDisconnected,
    EngineBadResponse,
    InvalidRequest,
    MethodNotAllowed,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.telemetry.recorder import Recorder

    Begin = Callable[[FakeAsgi], AsgiExchange]


@pytest.fixture
def begin(recorder: Recorder) -> Begin:
    def make(asgi: FakeAsgi) -> AsgiExchange:
        return exchange_on(asgi, recorder.begin("id-1", "other"))

    return make


async def test_an_answer_in_pieces_has_the_requests_id(begin: Begin) -> None:
    asgi = FakeAsgi()
    exchange = begin(asgi)
    await exchange.write_head(200, exchange.plain_headers(2))
    await exchange.write(b"a")
    await exchange.end(b"b")
    assert asgi.head == {b"content-type": b"application/json", b"content-length": b"2", b"x-request-id": b"id-1"}
    assert [message.get("more_body", False) for message in asgi.sent[1:]] == [True, False]
    assert (asgi.body, exchange.observation.status) == (b"ab", 200)


async def test_what_an_answer_cost_is_in_its_head(begin: Begin) -> None:
    exchange = begin(FakeAsgi())
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
    asgi = FakeAsgi()
    exchange = begin(asgi)
    await exchange.fail(error)
    assert (asgi.sent[0]["status"], exchange.observation.status) == (error.http_status, error.http_status)
    assert json.loads(asgi.body)["error"]["message"] == "no"
    assert asgi.head[name] == value
    assert asgi.head[b"content-length"] == str(len(asgi.body)).encode()


async def test_an_error_behind_the_first_byte_of_a_stream_is_its_last_event(begin: Begin) -> None:
    asgi = FakeAsgi()
    exchange = begin(asgi)
    exchange.observation.stream = True
    await exchange.write_head(200, ())
    await exchange.fail(EngineBadResponse("boom"))
    assert asgi.body == b"data: %b\n\n" % DEFAULT_DIALECT.error_body(EngineBadResponse("boom"))
    assert (asgi.sent[-1].get("more_body", False), asgi.aborted) == (False, 0)


async def test_an_error_behind_the_first_byte_of_a_plain_answer_cuts_the_connection(begin: Begin) -> None:
    asgi = FakeAsgi()
    exchange = begin(asgi)
    await exchange.write_head(200, ())
    await exchange.fail(EngineBadResponse("boom"))
    assert (len(asgi.sent), asgi.aborted) == (1, 1)


async def test_nobody_answers_a_client_that_has_gone(begin: Begin) -> None:
    asgi = FakeAsgi()
    await begin(asgi).fail(ClientDisconnected("gone"))
    assert (asgi.sent, asgi.aborted) == ([], 1)


async def test_a_client_that_does_not_read_its_error_is_cut_off(begin: Begin, monkeypatch: Any) -> None:
    async def hangs(_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("gateway.exchange._ERROR_SEND_TIMEOUT_S", 0.01)
    asgi = FakeAsgi()
    monkeypatch.setattr(asgi, "send", hangs)
    await begin(asgi).fail(InvalidRequest("no"))
    assert asgi.aborted == 1


@pytest.mark.parametrize(("messages", "code"), [([], "shutting_down"), ([DISCONNECT], "client_closed_request")])
async def test_why_a_request_was_cancelled(begin: Begin, messages: list[Any], code: str) -> None:
    assert (await begin(FakeAsgi(*messages)).cancellation_reason()).code == code


async def test_another_application_answers(begin: Begin) -> None:
    class Route:
        path = "/models/{name}"

    asgi = FakeAsgi(method="HEAD")
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
def test_a_request_id_that_is_safe_is_kept(begin: Begin, given: bytes) -> None:
    assert begin(FakeAsgi(headers={b"x-request-id": given})).request_id() == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"\xff"])
def test_any_other_request_id_is_replaced(begin: Begin, given: bytes) -> None:
    made = {begin(FakeAsgi(headers={b"x-request-id": given})).request_id() for _ in range(2)}
    assert len(made) == 2
    assert all(len(name) == 32 for name in made)


def test_of_headers_with_the_same_name_the_first_counts(begin: Begin) -> None:
    asgi = FakeAsgi()
    asgi.scope["headers"] = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    exchange = begin(asgi)
    assert [exchange.header(name) for name in (b"a", b"b", b"c")] == [b"1", b"2", None]

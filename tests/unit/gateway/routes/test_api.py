"""FastAPI's own errors: they stay unanswered, for whoever answers all errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support.in_process.asgi import FakeAsgi, exchange_on

from gateway.dialects import ENDPOINTS
from gateway.engines import Fleet
from gateway.errors import MethodNotAllowed, NotFound
from gateway.routes import create_api

if TYPE_CHECKING:
    from gateway.exchange import Exchange
    from gateway.relay import Relay
    from gateway.telemetry.recorder import Recorder


async def call(recorder: Recorder, method: str, path: str) -> tuple[FakeAsgi, Exchange]:
    # None of the paths here asks the relay for a key.
    app = create_api(Fleet((), max_success_age=60), cast("Relay", None), ENDPOINTS, cast("Any", None))
    asgi = FakeAsgi({"type": "http.request", "body": b"", "more_body": False}, method=method)
    asgi.scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http"}
    exchange = exchange_on(asgi, recorder.begin("id-1", "other"))
    await exchange.delegate(app)
    return asgi, exchange


async def test_a_route_answers(recorder: Recorder) -> None:
    asgi, exchange = await call(recorder, "GET", "/livez")
    assert (asgi.body, exchange.observation.status, exchange.observation.route) == (
        b'{"status":"alive"}',
        200,
        "/livez",
    )


@pytest.mark.parametrize(
    ("method", "path", "kind", "route"),
    [("GET", "/nowhere", NotFound, "other"), ("PUT", "/livez", MethodNotAllowed, "/livez")],
)
async def test_an_error_is_left_to_be_answered(
    recorder: Recorder, method: str, path: str, kind: type[Exception], route: str
) -> None:
    asgi, exchange = await call(recorder, method, path)
    assert isinstance(exchange.observation.error, kind)
    assert (asgi.sent, exchange.observation.status) == ([], None)
    assert exchange.observation.route == route


async def test_head_is_allowed_wherever_get_is(recorder: Recorder) -> None:
    _, exchange = await call(recorder, "PUT", "/livez")
    assert isinstance(exchange.observation.error, MethodNotAllowed)
    assert exchange.observation.error.allow == "GET, HEAD"

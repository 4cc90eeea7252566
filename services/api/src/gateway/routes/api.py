"""The FastAPI application: its routes, and errors that `GatewayApp` answers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from gateway.asgi_exchange import App, exchange_of
from gateway.dialects.base import Endpoint
from gateway.engines import Fleet
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound
from gateway.relay import Relay
from gateway.routes import models, relayed, status

_NOT_FOUND, _METHOD_NOT_ALLOWED = 404, 405

_DESCRIPTION = """Glasshouse: an OpenAI-compatible API over your own engines.

Send your key as `Authorization: Bearer …`. Errors have OpenAI's shape on every path, and every answer carries
`x-request-id`. Fields that this page does not name go to the engine as they are."""


def create_api(
    fleet: Fleet,
    relay: Relay,
    endpoints: Mapping[str, Endpoint],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> App:
    """FastAPI with every route that is not relayed.

    Args:
        fleet: The engines.
        relay: Knows the keys.
        endpoints: The relayed paths, for the documentation.
        lifespan: What runs as long as the application does.
    """
    app = FastAPI(
        title="Glasshouse", version="0.1.0", description=_DESCRIPTION, lifespan=lifespan, redoc_url=None,
        docs_url="/docs", openapi_url="/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.include_router(status.router(fleet, relay))
    app.include_router(models.router(fleet, relay))
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)
    relayed.document(app, endpoints)
    return app


class _Unanswered(Response):
    """Sends nothing: `GatewayApp` answers every error, in the shape that the client understands."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Does nothing."""


async def _gateway_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    exchange_of(request.scope).observation.error = error
    return _Unanswered()


async def _http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 as ours."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == _NOT_FOUND:
        return await _gateway_error(request, NotFound("There is no such path. GET /docs lists those that exist."))
    if error.status_code == _METHOD_NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "GET")
        allow = "GET, HEAD" if allow == "GET" else allow  # HEAD is served as GET
        return await _gateway_error(request, MethodNotAllowed(f"This path takes {allow} only.", allow=allow))
    return await _gateway_error(request, InvalidRequest(str(error.detail)))


async def _unexpected(_request: Request, _error: Exception) -> Response:
    """What nobody expected; Starlette raises it again, and `GatewayApp` logs and answers it."""
    return _Unanswered()

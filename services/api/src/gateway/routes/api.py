"""The FastAPI application: its routes, and errors in OpenAI's shape on every path."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from gateway.asgi import App, error_headers
from gateway.dialects.openai.errors import error_body
from gateway.engines import Fleet
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound
from gateway.relay import Relay
from gateway.routes import models, relayed, status

_NOT_FOUND, _METHOD_NOT_ALLOWED = 404, 405

_DESCRIPTION = """Glasshouse: an OpenAI-compatible API over your own engines.

Send your key as `Authorization: Bearer …`. Errors have OpenAI's shape on every path, and every answer carries
`x-request-id`. Fields that this page does not name go to the engine as they are."""


def create_api(fleet: Fleet, relay: Relay, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> App:
    """FastAPI with every route that is not relayed.

    Args:
        fleet: The engines.
        relay: Knows the keys.
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
    app.add_exception_handler(Exception, _own_fault)
    relayed.document(app)
    return app


async def _gateway_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    request.scope["state"]["observation"].error = error
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return Response(error_body(error), error.http_status, headers, "application/json")


async def _http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 as ours."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == _NOT_FOUND:
        return await _gateway_error(request, NotFound("There is no such path here. GET /docs lists what there is."))
    if error.status_code == _METHOD_NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "GET")
        allow = "GET, HEAD" if allow == "GET" else allow  # the edge has HEAD answered as GET
        return await _gateway_error(request, MethodNotAllowed(f"This path takes {allow} only.", allow=allow))
    return await _gateway_error(request, InvalidRequest(str(error.detail)))


async def _own_fault(request: Request, _: Exception) -> Response:
    """What nobody expected; it is raised again behind this answer, and logged by the edge."""
    number = request.scope["state"]["observation"].request_id
    return Response(error_body(GatewayError.unexpected(number)), 500, None, "application/json")

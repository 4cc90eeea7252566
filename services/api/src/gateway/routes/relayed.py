"""The documentation of the relayed paths: they never reach FastAPI, but its OpenAPI page should show them."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.dialects.base import Endpoint

_ERRORS = {
    "400": "The body is invalid; `param` names the field",
    "401": "No key, or an invalid one",
    "404": "No such model; the message lists what there is",
    "413": "The body is too large",
    "503": "No engine is ready; `retry-after` says when to come back",
    "504": "The engine was too slow",
}


def document(app: FastAPI, endpoints: Mapping[str, Endpoint]) -> None:
    """Adds the relayed paths to the application's OpenAPI description."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schema["components"] = schema.get("components", {})
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["paths"].update({path: {"post": _operation(endpoint)} for path, endpoint in endpoints.items()})
            app.openapi_schema = schema
        return app.openapi_schema

    # FastAPI's documented way to extend its description.
    app.openapi = openapi  # type: ignore[method-assign]


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    path, documentation = endpoint.path, endpoint.documentation
    body = {"type": "object", "required": list(documentation.required), "properties": dict(documentation.properties)}
    return {
        "tags": ["inference"],
        "summary": documentation.summary,
        "operationId": path.removeprefix("/v1/").replace("/", "_"),
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": body | {"additionalProperties": True},
                    "example": dict(documentation.example),
                }
            },
        },
        "responses": {"200": {"description": "The engine's answer"}}
        | {status: {"description": text} for status, text in _ERRORS.items()},
    }

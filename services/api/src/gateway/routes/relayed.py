"""The documented face of the relayed paths: they never reach FastAPI, but its OpenAPI page should show them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.dialects.openai.request import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS

_TEXT = {"type": "string"}
_EXAMPLES: dict[str, dict[str, Any]] = {
    CHAT.path: {"model": "glasshouse-demo", "messages": [{"role": "user", "content": "What is Glasshouse?"}]},
    COMPLETIONS.path: {"model": "glasshouse-demo", "prompt": "Glasshouse is", "max_tokens": 16},
    EMBEDDINGS.path: {"model": "glasshouse-demo", "input": "What is Glasshouse?"},
}
_PROMPTS: dict[str, dict[str, Any]] = {
    CHAT.path: {"type": "array", "items": {"type": "object"}, "minItems": 1},
    COMPLETIONS.path: {"anyOf": [_TEXT, {"type": "array"}]},
    EMBEDDINGS.path: {"anyOf": [_TEXT, {"type": "array"}]},
}
_ERRORS = {
    "400": "The body is wrong; `param` names the field",
    "401": "No key, or one that is not valid",
    "404": "No such model; the message lists what there is",
    "413": "The body is too large",
    "503": "No engine is ready; `retry-after` says when to come back",
    "504": "The engine was too slow",
}


def document(app: FastAPI) -> None:
    """Adds the relayed paths to the application's OpenAPI description."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schema["components"] = schema.get("components", {})
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["paths"].update({path: {"post": _operation(path)} for path in ENDPOINTS})
            app.openapi_schema = schema
        return app.openapi_schema

    # FastAPI's documented way to extend its description.
    app.openapi = openapi  # type: ignore[method-assign]


def _operation(path: str) -> dict[str, Any]:
    endpoint = ENDPOINTS[path]
    properties: dict[str, Any] = {"model": _TEXT, endpoint.prompt: _PROMPTS[path]}
    if endpoint.streams:
        properties |= {"stream": {"type": "boolean"}, "max_tokens": {"type": "integer", "minimum": 1}}
    body = {"type": "object", "required": ["model", endpoint.prompt], "properties": properties}
    return {
        "tags": ["inference"],
        "summary": f"OpenAI's {path.removeprefix('/v1/').replace('/', ' ')}, relayed to an engine",
        "operationId": path.removeprefix("/v1/").replace("/", "_"),
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": body | {"additionalProperties": True}, "example": _EXAMPLES[path]}
            },
        },
        "responses": {"200": {"description": "The engine's answer"}}
        | {status: {"description": text} for status, text in _ERRORS.items()},
    }

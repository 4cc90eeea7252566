"""The models that ready engines serve, in OpenAI's shape."""

import time
from typing import Any

from fastapi import APIRouter, Request

from gateway.asgi_exchange import exchange_of
from gateway.engines import Fleet
from gateway.errors import ModelNotFound
from gateway.relay import Relay


def router(fleet: Fleet, relay: Relay) -> APIRouter:
    """The routes `/v1/models` and `/v1/models/{model}`; both need a key and show what that key may use."""
    routes = APIRouter(tags=["models"])
    since = int(time.time())

    def allowed(request: Request) -> dict[str, dict[str, Any]]:
        key = relay.authenticate(exchange_of(request.scope))
        return {
            model: {"id": model, "object": "model", "created": since, "owned_by": kind or "unknown"}
            for model, kind in fleet.models().items()
            if key.may_use(model)
        }

    @routes.get("/v1/models", summary="Every model that can be used now, adapters included")
    async def list_models(request: Request) -> dict[str, Any]:
        return {"object": "list", "data": list(allowed(request).values())}

    @routes.get("/v1/models/{model:path}", summary="One model")
    async def retrieve_model(model: str, request: Request) -> dict[str, Any]:
        models = allowed(request)
        if model not in models:
            raise ModelNotFound(
                f"This model is not served here. There is: {', '.join(models) or 'none'}.", param="model"
            )
        return models[model]

    return routes

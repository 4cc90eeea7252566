"""Liveness, readiness and the state of each engine, as far as each key may see them.

Without a key there is neither a model nor an address; with one, the models that it may use and the engines that serve
them; an admin sees everything, including reasons, which quote engines and launchers.
"""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.asgi_exchange import exchange_of
from gateway.engines import Engine, Fleet
from gateway.policies.keys import Key
from gateway.relay import Relay

_OK, _UNAVAILABLE = 200, 503


def router(fleet: Fleet, relay: Relay) -> APIRouter:
    """The routes: `/`, `/livez`, `/readyz`, `/healthz`, `/health` for all, `/models/status` with a key."""
    routes = APIRouter(tags=["status"])

    @routes.get("/", summary="A greeting, and the models that the key may use, if one is given")
    async def root(request: Request) -> dict[str, Any]:
        models = []
        if "authorization" in request.headers:
            key = relay.authenticate(exchange_of(request.scope))
            models = sorted(filter(key.may_use, fleet.models()))
        return {
            "message": "LLM Inference API is running",
            "model": models[0] if models else None,
            "models": models,
        }

    @routes.get("/livez", summary="Liveness: the process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz", summary="Readiness: an engine has just generated a token; 503 otherwise")
    @routes.get("/healthz", summary="The same as /readyz, for load balancers")
    async def readyz() -> JSONResponse:
        if fleet.is_healthy():
            return JSONResponse({"status": "ready"})
        error = fleet.unavailable_error()
        return JSONResponse(
            {"status": "not ready", "reason": error.message}, _UNAVAILABLE, {"retry-after": str(error.retry_after or 1)}
        )

    @routes.get("/health", summary="The same as /readyz, in the shape that older clients read")
    async def health() -> JSONResponse:
        is_healthy = fleet.is_healthy()
        content = {
            "status": "healthy" if is_healthy else "unhealthy",
            "model_loaded": is_healthy,
            "timestamp": time.time(),
        }
        return JSONResponse(content, _OK if is_healthy else _UNAVAILABLE)

    @routes.get("/models/status", summary="Engines: their state, models and load, as far as the key may see them")
    async def models_status(request: Request) -> dict[str, Any]:
        key = relay.authenticate(exchange_of(request.scope))
        engines = [engine for engine in fleet.engines if _visible(engine, key)]
        return {
            "timestamp": time.time(),
            "backends": {kind: _backend(engines, kind, key) for kind in ("vllm", "llama_cpp")},
            "engines": {engine.name: _engine(engine, key) for engine in engines},
        }

    return routes


def _visible(engine: Engine, key: Key) -> bool:
    return key.role == "admin" or key.models is None or bool(_models(engine, key))


def _models(engine: Engine, key: Key) -> list[str]:
    return [model for model in engine.models if key.role == "admin" or key.may_use(model)]


def _backend(engines: Sequence[Engine], kind: str, key: Key) -> dict[str, Any]:
    """One kind of engine, in the shape of `backends`."""
    ready = [engine for engine in engines if engine.kind == kind and engine.ready]
    if not ready:
        return {"available": False}
    return {
        "available": True,
        "models": sorted({model for engine in ready for model in _models(engine, key)}),
        "running": sum(engine.load.running for engine in ready),
        "waiting": sum(engine.load.waiting for engine in ready),
    }


def _engine(engine: Engine, key: Key) -> dict[str, Any]:
    age = time.monotonic() - engine.last_success_at
    return {
        "backend": engine.kind or None,
        "state": engine.state,
        "reason": (engine.reason or None) if key.role == "admin" else None,
        "models": _models(engine, key),
        "load": engine.load._asdict(),
        "seconds_since_token": round(age, 1) if age < float("inf") else None,
    }

"""Whether it lives, whether it works, and how each engine is."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.engines import Engine, Fleet
from gateway.relay import Relay

_OK, _UNAVAILABLE = 200, 503


def router(fleet: Fleet, relay: Relay) -> APIRouter:
    """The routes: `/`, `/livez`, `/readyz`, `/healthz`, `/health` for all, `/models/status` with a key."""
    routes = APIRouter(tags=["status"])

    @routes.get("/", summary="A greeting, and the models that are served")
    async def root() -> dict[str, Any]:
        models = sorted(fleet.models())
        return {"message": "LLM Inference API is running", "model": models[0] if models else None, "models": models}

    @routes.get("/livez", summary="The process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz", summary="An engine has just generated a token; 503 otherwise")
    @routes.get("/healthz", summary="The same as /readyz, for load balancers")
    async def readyz() -> JSONResponse:
        if fleet.working():
            return JSONResponse({"status": "ready"})
        error = fleet.not_ready()
        return JSONResponse(
            {"status": "not ready", "reason": error.message}, _UNAVAILABLE, {"retry-after": str(error.retry_after or 1)}
        )

    @routes.get("/health", summary="As /readyz, in the shape that the seeds' clients read")
    async def health() -> JSONResponse:
        working = fleet.working()
        content = {
            "status": "healthy" if working else "unhealthy",
            "model_loaded": working,
            "timestamp": time.time(),
        }
        return JSONResponse(content, _OK if working else _UNAVAILABLE)

    @routes.get("/models/status", summary="Each engine: state, models, load (needs a key)")
    async def models_status(request: Request) -> dict[str, Any]:
        relay.authenticate(request.scope, request.scope["state"]["observation"])
        backends = {kind: _backend(fleet, kind) for kind in ("vllm", "llama_cpp")}
        return {
            "timestamp": time.time(),
            "backends": backends,
            "engines": {engine.name: _engine(engine) for engine in fleet.engines},
        }

    return routes


def _backend(fleet: Fleet, kind: str) -> dict[str, Any]:
    """One kind of engine, in seed 003's shape."""
    ready = [engine for engine in fleet.engines if engine.kind == kind and engine.ready]
    if not ready:
        return {"available": False}
    return {
        "available": True,
        "models": sorted({model for engine in ready for model in engine.models}),
        "running": sum(engine.load.running for engine in ready),
        "waiting": sum(engine.load.waiting for engine in ready),
    }


def _engine(engine: Engine) -> dict[str, Any]:
    age = time.monotonic() - engine.proved_at
    return {
        "backend": engine.kind or None,
        "state": engine.state,
        "reason": engine.reason or None,
        "models": engine.models,
        "load": engine.load._asdict(),
        "seconds_since_token": round(age, 1) if age < float("inf") else None,
    }

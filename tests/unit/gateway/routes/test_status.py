"""Whether it lives, whether it works, how each engine is, and which models there are."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.server import KEY, LIMITED_KEY, Gateway, nonzero_samples, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from gateway.engines.engine import State

    Serve = Callable[..., Awaitable[Gateway]]


async def test_the_greeting(gateway: Gateway) -> None:
    answer = await gateway.http.get("/")
    assert answer.json() == {"message": "LLM Inference API is running", "model": "mock", "models": ["mock"]}
    gateway.http.headers["authorization"] = f"Bearer {LIMITED_KEY}"
    assert (await gateway.http.get("/")).json()["models"] == []
    del gateway.http.headers["authorization"]
    answer = await gateway.http.get("/")
    assert answer.json() == {"message": "LLM Inference API is running", "model": None, "models": []}
    assert (await gateway.http.get("/", headers={"authorization": "Bearer wrong"})).status_code == 401


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/healthz", "/health", "/docs", "/openapi.json"])
async def test_no_key_is_needed(gateway: Gateway, path: str) -> None:
    del gateway.http.headers["authorization"]
    assert (await gateway.http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/mock", "/models/status"])
async def test_a_key_is_needed(gateway: Gateway, path: str) -> None:
    del gateway.http.headers["authorization"]
    answer = await gateway.http.get(path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "missing_api_key"
    await gateway.settled(1)
    assert nonzero_samples(gateway.metrics.auth_failures) == {("missing_api_key",): 1}


async def test_a_working_gateway(gateway: Gateway) -> None:
    assert (await gateway.http.get("/livez")).json() == {"status": "alive"}
    for path in ("/readyz", "/healthz"):
        answer = await gateway.http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    health = (await gateway.http.get("/health")).json()
    assert (health["status"], health["model_loaded"]) == ("healthy", True)
    assert abs(health["timestamp"] - time.time()) < 5


async def test_a_gateway_whose_engine_only_looks_alive(serve: Serve, alpha: Mock) -> None:
    await alpha.change(probe_fault="status:500")
    gateway = await serve(alpha)
    assert (await gateway.http.get("/livez")).status_code == 200
    for path in ("/readyz", "/healthz"):
        answer = await gateway.http.get(path)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["status"] == "not ready"
        assert answer.json()["reason"] == "No engine is ready: alpha is ejected."
    health = await gateway.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert (await gateway.http.get("/")).json()["models"] == []
    assert (await gateway.http.get("/v1/models")).json()["data"] == []
    await alpha.change(probe_fault=None)
    await until(lambda: gateway.engine("alpha").ready)
    assert (await gateway.http.get("/readyz")).status_code == 200


async def test_readiness_grows_old(gateway: Gateway) -> None:
    assert gateway.fleet.is_healthy()
    gateway.engine("alpha").last_success_at -= 1000
    assert (await gateway.http.get("/readyz")).status_code == 503


async def test_the_models(serve: Serve, alpha: Mock, llama: Mock) -> None:
    await alpha.change(models=["mock", {"id": "org/adapter", "parent": "mock"}])
    await llama.change(models=["other-model"])
    gateway = await serve(alpha, llama)
    answer = (await gateway.http.get("/v1/models")).json()
    assert answer["object"] == "list"
    assert {(row["id"], row["owned_by"], row["object"]) for row in answer["data"]} == {
        *{("mock", "vllm", "model"), ("org/adapter", "vllm", "model"), ("other-model", "llama_cpp", "model")},
    }
    assert all(isinstance(row["created"], int) for row in answer["data"])
    answer = await gateway.http.get("/v1/models/org/adapter")
    assert answer.json()["id"] == "org/adapter"
    missing = await gateway.http.get("/v1/models/canary")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    assert "canary" not in missing.text


async def test_a_key_sees_only_its_models(serve: Serve, alpha: Mock, llama: Mock) -> None:
    await llama.change(models=["other-model"])
    gateway = await serve(alpha, llama)
    gateway.http.headers["authorization"] = f"Bearer {LIMITED_KEY}"
    assert [row["id"] for row in (await gateway.http.get("/v1/models")).json()["data"]] == ["other-model"]
    hidden = await gateway.http.get("/v1/models/mock")
    assert hidden.status_code == 404
    assert "mock" not in hidden.json()["error"]["message"]


async def test_the_status_of_each_engine(serve: Serve, alpha: Mock, llama: Mock) -> None:
    await alpha.change(running=3, waiting=2, kv_cache_usage=0.5)
    await llama.change(health=503)
    gateway = await serve(alpha, llama)
    status = (await gateway.http.get("/models/status")).json()
    assert status["backends"] == {
        "vllm": {"available": True, "models": ["mock"], "running": 3, "waiting": 2},
        "llama_cpp": {"available": False},
    }
    first, second = status["engines"]["alpha"], status["engines"]["llama"]
    assert (first["backend"], first["state"], first["reason"], first["models"]) == ("vllm", "ready", None, ["mock"])
    assert first["load"] == {"running": 3, "waiting": 2, "kv_use": 0.5}
    assert 0 <= first["seconds_since_token"] < 5
    assert (second["state"], second["reason"], second["seconds_since_token"]) == ("starting", "loading the model", None)


SECRETIVE = "hidden-model at http://10.9.8.7:6543/v1"


@pytest.mark.parametrize(
    ("state", "reason", "reported"),
    [
        ("down", SECRETIVE, "alpha is down"),
        ("failed", SECRETIVE, "alpha is failed"),
        ("starting", SECRETIVE, "alpha is starting"),
        ("starting", "hidden-model", "alpha is starting"),
        ("starting", "10.9.8.7", "alpha is starting"),
        ("starting", "loading_weights", "alpha is starting (loading_weights)"),
    ],
)
async def test_without_a_key_nobody_learns_of_models_or_addresses(
    serve: Serve, alpha: Mock, state: State, reason: str, reported: str
) -> None:
    await alpha.change(models=["hidden-model"])
    gateway = await serve(alpha, discovery_interval=60)
    gateway.engine("alpha").set_state(state, reason)
    gateway.engine("alpha").kind = "vllm"
    del gateway.http.headers["authorization"]
    for path in ("/", "/readyz", "/healthz", "/health", "/livez", "/v1/models", "/v1/models/x", "/models/status"):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": ""}):
            text = (await gateway.http.get(path, headers=headers)).text
            assert "hidden" not in text
            assert "10.9.8.7" not in text
    assert (await gateway.http.get("/readyz")).json()["reason"] == f"No engine is ready: {reported}."


def add_keys(path: Path, **fields: str) -> None:
    """Keys that are the same as their names."""
    with path.open("a", encoding="utf-8") as file:
        for name, rest in fields.items():
            file.write(f"  - {{name: {name}, sha256: {hashlib.sha256(name.encode()).hexdigest()}, {rest}}}\n")


async def test_the_status_is_of_what_a_key_may_use_and_all_of_it_for_an_admin(
    serve: Serve, alpha: Mock, beta: Mock, llama: Mock, keys_file: Path
) -> None:
    await alpha.change(models=["hidden-model"], running=7)
    await beta.change(models=["hidden-model", "other-model"], running=2, waiting=1)
    await llama.change(models=["other-model"])
    add_keys(keys_file, user="role: user", boss="role: admin, models: [other-model]", nobody="models: []")
    gateway = await serve(alpha, beta, llama, discovery_interval=60)
    gateway.engine("llama").set_state("down", SECRETIVE)

    async def status(key: str) -> tuple[dict[str, Any], str]:
        answer = await gateway.http.get("/models/status", headers={"authorization": f"Bearer {key}"})
        return answer.json(), answer.text

    limited, text = await status(LIMITED_KEY)
    assert limited["engines"].keys() == {"beta", "llama"}
    assert [engine["models"] for engine in limited["engines"].values()] == [["other-model"], ["other-model"]]
    assert limited["backends"] == {
        "vllm": {"available": True, "models": ["other-model"], "running": 2, "waiting": 1},
        "llama_cpp": {"available": False},
    }
    assert "hidden" not in text
    assert "10.9.8.7" not in text

    user, text = await status("user")
    assert user["engines"].keys() == {"alpha", "beta", "llama"}
    assert user["backends"]["vllm"]["running"] == 9
    assert {engine["reason"] for engine in user["engines"].values()} == {None}
    assert "10.9.8.7" not in text

    for key in (KEY, "boss"):
        admin, _ = await status(key)
        assert admin["engines"]["llama"]["reason"] == SECRETIVE
        assert admin["engines"]["beta"]["models"] == ["hidden-model", "other-model"]

    nobody, _ = await status("nobody")
    assert nobody["engines"] == {}
    assert nobody["backends"] == {"vllm": {"available": False}, "llama_cpp": {"available": False}}


async def test_a_key_learns_nothing_of_a_model_that_it_may_not_use(serve: Serve, alpha: Mock) -> None:
    """Whether it is served or not, the answer is the same."""
    gateway = await serve(alpha)
    gateway.http.headers["authorization"] = f"Bearer {LIMITED_KEY}"
    there, nowhere = [await gateway.chat(model=model) for model in ("mock", "made-up")]
    assert (there.status_code, there.json()) == (403, nowhere.json())
    there, nowhere = [await gateway.http.get(f"/v1/models/{model}") for model in ("mock", "made-up")]
    assert (there.status_code, there.json()) == (404, nowhere.json())


async def test_the_description_shows_the_relayed_paths(gateway: Gateway) -> None:
    description = (await gateway.http.get("/openapi.json")).json()
    paths = description["paths"]
    for path, field in (
        ("/v1/chat/completions", "messages"),
        ("/v1/completions", "prompt"),
        ("/v1/embeddings", "input"),
    ):
        operation = paths[path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"] == ["model", field]
        assert schema["additionalProperties"] is True
        assert {"200", "400", "401", "404", "413", "503", "504"} <= set(operation["responses"])
    assert {"/livez", "/readyz", "/v1/models", "/models/status"} <= set(paths)
    assert description["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert (await gateway.http.get("/openapi.json")).json() == description


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
async def test_the_examples_of_the_description_are_taken(gateway: Gateway, alpha: Mock, path: str) -> None:
    description = (await gateway.http.get("/openapi.json")).json()
    example = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    await alpha.change(models=[example["model"]])
    await until(lambda: example["model"] in gateway.fleet.models())
    assert (await gateway.http.post(path, json=example)).status_code == 200

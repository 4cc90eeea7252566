"""The models that a key may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.in_process.server import LIMITED_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock
    from tests.support.in_process.server import Gateway

    Serve = Callable[..., Awaitable[Gateway]]


async def test_models_are_listed_in_openais_shape(gateway: Gateway) -> None:
    content = (await gateway.http.get("/v1/models")).json()
    assert content["object"] == "list"
    (model,) = content["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("mock", "model", "vllm")
    assert (await gateway.http.get("/v1/models/mock")).json() == model


async def test_a_model_name_may_have_slashes(serve: Serve, alpha: Mock) -> None:
    await alpha.change(models=["org/model"])
    gateway = await serve(alpha)
    assert (await gateway.http.get("/v1/models/org/model")).json()["id"] == "org/model"


async def test_a_model_that_a_key_may_not_use_does_not_exist_for_it(serve: Serve, alpha: Mock) -> None:
    await alpha.change(models=["mock", "other-model"])
    gateway = await serve(alpha)
    headers = {"authorization": f"Bearer {LIMITED_KEY}"}
    listed = (await gateway.http.get("/v1/models", headers=headers)).json()["data"]
    assert [model["id"] for model in listed] == ["other-model"]
    answer = await gateway.http.get("/v1/models/mock", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert answer.json()["error"]["message"].endswith("There is: other-model.")

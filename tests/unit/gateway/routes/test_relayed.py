"""The OpenAPI description of the paths that FastAPI does not serve."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from gateway.dialects import ENDPOINTS
from gateway.routes.relayed import document


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(title="t", version="1")
    document(app, ENDPOINTS)
    return app


def test_every_relayed_path_is_described(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert set(paths) == set(ENDPOINTS)
    assert len({operation["post"]["operationId"] for operation in paths.values()}) == len(ENDPOINTS)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_example_has_what_is_required_and_other_fields_are_allowed(app: FastAPI, path: str) -> None:
    content = app.openapi()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert set(content["schema"]["required"]) <= set(content["example"]) & set(content["schema"]["properties"])
    assert content["schema"]["additionalProperties"] is True
    assert ("stream" in content["schema"]["properties"]) == ENDPOINTS[path].streams


def test_a_key_is_needed(app: FastAPI) -> None:
    schema = app.openapi()
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert schema is app.openapi(), "it is made once"

"""Answers: usage read from them, and engines' errors as ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.openai.answer import engine_error, error_body, error_event, parse_answer, parse_usage
from gateway.errors import (
    ContextLengthExceeded,
    EngineBroken,
    EngineRejected,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
)
from gateway.usage import Usage


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 2)),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}, Usage(3, 0, 2)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}, Usage(0, 9, 0, 4)),
        ({"prompt_tokens": 3, "prompt_tokens_details": None, "completion_tokens_details": 7}, Usage(3)),
        ({"prompt_tokens": None, "completion_tokens": "7"}, Usage()),
        ({"prompt_tokens": -3, "completion_tokens": 1.5}, Usage()),
        ({}, Usage()),
        (None, None),
        ([1], None),
        ("x", None),
    ],
)
def test_usage(usage: Any, wanted: Usage | None) -> None:
    assert parse_usage(usage) == wanted
    assert parse_answer(json.dumps({"usage": usage}).encode()) == wanted


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"<html>", b'{"a":', b"\xff"])
def test_an_answer_that_is_no_object_is_broken(body: bytes) -> None:
    with pytest.raises(EngineBroken):
        parse_answer(body)


LLAMA_CONTEXT = {
    "code": 400,
    "message": "request (9016 tokens) exceeds the available context size (1024 tokens), try increasing it",
    "type": "exceed_context_size_error",
}
VLLM_CONTEXT = {
    "message": "This model's maximum context length is 1024 tokens. However, your prompt has at least 1025 tokens.",
    "type": "BadRequestError",
    "param": "input_tokens",
    "code": 400,
}
VLLM_MAX_TOKENS = {
    "message": "max_tokens=4000 cannot be greater than max_model_len=1024. Please request fewer output tokens.",
    "type": "BadRequestError",
    "param": "max_tokens",
    "code": 400,
}


@pytest.mark.parametrize("error", [LLAMA_CONTEXT, VLLM_CONTEXT, VLLM_MAX_TOKENS], ids=["llama.cpp", "vLLM", "output"])
def test_a_prompt_over_the_context_whoever_says_it(error: dict[str, Any]) -> None:
    ours = engine_error(400, json.dumps({"error": error}).encode())
    assert isinstance(ours, ContextLengthExceeded)
    assert (ours.http_status, ours.code, ours.message) == (400, "context_length_exceeded", error["message"])
    assert ours.param == error.get("param")


@pytest.mark.parametrize("status", [400, 409, 413, 422, 429])
def test_a_4xx_is_about_the_request(status: int) -> None:
    body = json.dumps({"error": {"message": "no", "param": "x", "code": status, "type": "BadRequestError"}}).encode()
    ours = engine_error(status, body)
    assert isinstance(ours, EngineRejected)
    assert (ours.http_status, ours.message, ours.param, ours.code) == (status, "no", "x", None)
    assert ours.outcome == "client_error"


@pytest.mark.parametrize("status", [500, 502, 503, 204, 301, 199])
def test_anything_else_is_the_engines_failure(status: int) -> None:
    ours = engine_error(status, b'{"error":{"message":"boom"}}')
    assert isinstance(ours, EngineBroken)
    assert (ours.http_status, ours.outcome) == (502, "engine_error")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_engine_key_is_ours(status: int) -> None:
    ours = engine_error(status, b'{"error":"Unauthorized"}')
    assert isinstance(ours, EngineBroken)
    assert "ENGINE_KEY_FILE" in ours.message


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_endpoint_that_the_engine_does_not_offer(status: int) -> None:
    ours = engine_error(status, b'{"error":{"message":"Start it with --reranking","type":"not_supported_error"}}')
    assert isinstance(ours, InvalidRequest)
    assert (ours.http_status, ours.code, ours.outcome) == (400, "unsupported_endpoint", "client_error")
    assert "Start it with --reranking" in ours.message


def test_a_model_that_an_engine_does_not_know_stays_a_404() -> None:
    ours = engine_error(404, b'{"error":{"message":"The model `x` does not exist.","param":"model","code":404}}')
    assert isinstance(ours, EngineRejected)
    assert (ours.http_status, ours.param) == (404, "model")


def test_llama_cpps_500_for_an_input_that_does_not_fit_is_the_requests() -> None:
    body = (
        b'{"error":{"code":500,"message":"input (9 tokens) is too large to process. increase the physical batch size"}}'
    )
    assert isinstance(engine_error(500, body), ContextLengthExceeded)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"m"}}', "m"),
        (b'{"error":"text"}', "text"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"message":"m","type":"x"}', "m"),
        (b"plain text", "plain text"),
        (b"", "no reason given"),
        (b"{}", "no reason given"),
        (b'{"error":{"message":null}}', "no reason given"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 1000, "x" * 200),
    ],
)
def test_any_shape_of_error_has_a_message(body: bytes, message: str) -> None:
    assert engine_error(400, body).message == message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "model_gone"}, "model_gone"),
        ({"code": 400, "type": "invalid_request_error"}, "invalid_request_error"),
        ({"code": 400, "type": "BadRequestError"}, None),
        ({"code": None}, None),
    ],
)
def test_codes_are_words(error: dict[str, Any], code: str | None) -> None:
    assert engine_error(400, json.dumps({"error": {"message": "m", **error}}).encode()).code == code


def test_errors_read_as_openais() -> None:
    error = ModelNotFound('no "such" 모델\n', param="model")
    wanted = {
        "error": {
            "message": 'no "such" 모델\n',
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert json.loads(error_body(error)) == wanted
    in_band = error_event(error)
    assert in_band.startswith(b"data: {")
    assert in_band.endswith(b"}\n\n")
    assert in_band.count(b"\n") == 2
    assert json.loads(in_band[6:]) == wanted


def test_a_bare_error_is_internal() -> None:
    assert json.loads(error_body(GatewayError("x")))["error"]["code"] == "internal_error"

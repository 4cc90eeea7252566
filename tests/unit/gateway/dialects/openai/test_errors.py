"""An engine's errors as ours, wherever they are met, and ours in OpenAI's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.openai.errors import (
    engine_error,
    error_body,
    error_event,
    error_in,
    holds_error,
    translate_error,
)
from gateway.errors import (
    ContextLengthExceeded,
    EngineBadResponse,
    EngineOverloaded,
    EngineRateLimited,
    EngineRejected,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
)


def translated(status: int, body: bytes) -> GatewayError:
    return engine_error(status, body, retry_after=None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices":[]}', b'{"error":null}'])
def test_a_body_without_an_error(body: bytes) -> None:
    assert error_in(body) is None


def test_an_error_in_a_body_with_a_status_of_success() -> None:
    assert isinstance(error_in(b'{"error":{"message":"boom"}}'), EngineBadResponse)


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
    ours = translated(400, json.dumps({"error": error}).encode())
    assert isinstance(ours, ContextLengthExceeded)
    assert (ours.http_status, ours.code, ours.message) == (400, "context_length_exceeded", error["message"])
    assert ours.param == error.get("param")


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_4xx_is_about_the_request(status: int) -> None:
    body = json.dumps({"error": {"message": "no", "param": "x", "code": status, "type": "BadRequestError"}}).encode()
    ours = translated(status, body)
    assert isinstance(ours, EngineRejected)
    assert (ours.http_status, ours.message, ours.param, ours.code) == (status, "no", "x", None)
    assert ours.outcome == "client_error"


@pytest.mark.parametrize("status", [500, 502, 504, 408, 204, 301, 199])
def test_anything_else_is_the_engines_failure(status: int) -> None:
    ours = translated(status, b'{"error":{"message":"boom"}}')
    assert isinstance(ours, EngineBadResponse)
    assert (ours.http_status, ours.outcome) == (502, "engine_error")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_engine_key_is_ours(status: int) -> None:
    ours = translated(status, b'{"error":"Unauthorized"}')
    assert isinstance(ours, EngineBadResponse)
    assert "ENGINE_KEY_FILE" in ours.message


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_endpoint_that_the_engine_does_not_offer(status: int) -> None:
    ours = translated(status, b'{"error":{"message":"Start it with --reranking","type":"not_supported_error"}}')
    assert isinstance(ours, InvalidRequest)
    assert (ours.http_status, ours.code, ours.outcome) == (400, "unsupported_endpoint", "client_error")
    assert "Start it with --reranking" in ours.message


def test_a_model_that_an_engine_does_not_know_stays_a_404() -> None:
    ours = translated(404, b'{"error":{"message":"The model `x` does not exist.","param":"model","code":404}}')
    assert isinstance(ours, EngineRejected)
    assert (ours.http_status, ours.param) == (404, "model")


def test_llama_cpps_500_for_an_input_that_does_not_fit_is_the_requests() -> None:
    body = (
        b'{"error":{"code":500,"message":"input (9 tokens) is too large to process. increase the physical batch size"}}'
    )
    assert isinstance(translated(500, body), ContextLengthExceeded)


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
    assert translated(400, body).message == message


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
    assert translated(400, json.dumps({"error": {"message": "m", **error}}).encode()).code == code


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


ANYWHERE = pytest.mark.parametrize("status", [400, 500, 200, None], ids=["400", "500", "200", "in an event"])


@ANYWHERE
@pytest.mark.parametrize("error", [LLAMA_CONTEXT, VLLM_CONTEXT, VLLM_MAX_TOKENS], ids=["llama.cpp", "vLLM", "output"])
def test_a_prompt_over_the_context_wherever_it_is_said(error: dict[str, Any], status: int | None) -> None:
    assert isinstance(translate_error(status, {"error": error}), ContextLengthExceeded)


# As llama.cpp's server said them, all with status 500.
REQUEST_FAULTS = [
    "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    "audio input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    "Failed to parse messages: Missing 'role' in message: {}",
    'Failed to parse messages: Missing tool call type: "x"',
    'Failed to parse tools: Expected \'tools\' to be an array, got "x"; tools = "x"',
    "Failed to parse tools: [json.exception.out_of_range.403] key 'name' not found; tools = []",
    "[json.exception.type_error.302] type must be string, but is number",
    "Cannot use both json_schema and grammar",
]


@pytest.mark.parametrize("status", [500, None])
@pytest.mark.parametrize("message", REQUEST_FAULTS)
def test_what_the_request_is_to_blame_for_is_a_400_whatever_the_engine_calls_it(
    message: str, status: int | None
) -> None:
    ours = translate_error(status, {"error": {"message": message, "code": 500, "type": "server_error"}})
    assert isinstance(ours, EngineRejected)
    assert (ours.http_status, ours.outcome, ours.should_retry) == (400, "client_error", False)


@pytest.mark.parametrize("message", ["CUDA out of memory", "input", "tools", "the json was fine", "Failed to parse"])
def test_any_other_500_stays_the_engines(message: str) -> None:
    ours = translate_error(500, {"error": {"message": message}})
    assert isinstance(ours, EngineBadResponse)
    assert ours.http_status == 502


@pytest.mark.parametrize(
    ("status", "content", "kind", "code", "outcome"),
    [
        (429, {"error": {"message": "slow down"}}, EngineRateLimited, 429, "rate_limited"),
        (None, {"error": {"message": "slow down", "code": 429}}, EngineRateLimited, 429, "rate_limited"),
        (None, {"error": {"message": "m", "type": "rate_limit_error"}}, EngineRateLimited, 429, "rate_limited"),
        (503, "queue is full", EngineOverloaded, 503, "engine_error"),
        (None, {"error": {"message": "queue is full", "code": "503"}}, EngineOverloaded, 503, "engine_error"),
    ],
)
def test_a_full_engine_is_neither_broken_nor_the_clients_fault(
    status: int | None, content: Any, kind: type[GatewayError], code: int, outcome: str
) -> None:
    ours = translate_error(status, content, retry_after=7)
    assert type(ours) is kind
    assert (ours.http_status, ours.outcome, ours.retry_after, ours.should_retry) == (code, outcome, 7, True)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "m", "code": 422}, 422),
        ({"message": "m", "code": "400"}, 400),
        ({"message": "m", "type": "BadRequestError"}, 400),
        ({"message": "m", "type": "invalid_request_error"}, 400),
        ({"message": "m", "code": 200}, 502),
        ({"message": "m", "code": 7}, 502),
        ({"message": "m", "code": "²"}, 502),
        ({"message": "m", "code": True}, 502),
        ({"message": "m"}, 502),
        ("m", 502),
    ],
)
def test_an_error_inside_an_answer_says_by_itself_what_it_is(error: Any, status: int) -> None:
    assert translate_error(None, {"error": error}).http_status == status


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"error": {"message": "m"}}, True),
        ({"error": "m"}, True),
        ({"error": {}}, True),
        ({"object": "error", "message": "m"}, True),
        ({"error": None, "choices": []}, False),
        ({"error": False}, False),
        ({"error": ""}, False),
        ({"choices": [{"text": "error"}]}, False),
        ({}, False),
    ],
)
def test_an_error_is_told_by_its_value(content: dict[str, Any], wanted: bool) -> None:
    assert holds_error(content) is wanted

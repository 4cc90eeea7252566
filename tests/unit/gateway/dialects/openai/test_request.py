"""The fields of a request that the gateway reads; bad ones are tested through the relay too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects import ENDPOINTS
from gateway.dialects.base import Endpoint, InferenceRequest
from gateway.dialects.openai.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.dialects.openai.request import parse_request
from gateway.errors import InvalidRequest

MESSAGES = [{"role": "user", "content": "x"}]
PROMPTS: dict[str, Any] = {
    CHAT.path: {"messages": MESSAGES},
    COMPLETIONS.path: {"prompt": "x"},
    EMBEDDINGS.path: {"input": "x"},
}


def body(endpoint: Endpoint, **fields: Any) -> bytes:
    return json.dumps({"model": "m", **PROMPTS[endpoint.path], **fields}).encode()


def test_the_allow_list() -> None:
    assert set(ENDPOINTS) == {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"}


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
@pytest.mark.parametrize("stream", [None, False])
def test_a_plain_body_stays_as_it_is(endpoint: Endpoint, stream: bool | None) -> None:
    sent = body(endpoint, stream=stream, max_tokens=5, n=1, other={"a": [1, 2]})
    request = parse_request(endpoint, sent)
    assert request == InferenceRequest(endpoint, "m", stream=False, usage_wanted=False, body=sent)


@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS], ids=["chat", "completions"])
@pytest.mark.parametrize("tail", [b"", b" ", b"\n", b"\r\n\t "])
def test_a_stream_asks_for_usage(endpoint: Endpoint, tail: bytes) -> None:
    sent = body(endpoint, stream=True) + tail
    request = parse_request(endpoint, sent)
    assert (request.stream, request.usage_wanted) == (True, False)
    assert request.body == sent.rstrip()[:-1] + b',"stream_options":{"include_usage":true}}'


def test_a_stream_that_asked_itself_stays_as_it_is() -> None:
    sent = body(CHAT, stream=True, stream_options={"include_usage": True, "other": 1})
    assert parse_request(CHAT, sent) == InferenceRequest(CHAT, "m", stream=True, usage_wanted=True, body=sent)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_options_without_the_wish_get_it(options: Any) -> None:
    sent = {"stream": True, "stream_options": options, "temperature": 0.1, "x": {"y": "é\n"}}
    request = parse_request(CHAT, body(CHAT, **sent))
    assert (request.stream, request.usage_wanted) == (True, False)
    assert json.loads(request.body) == {
        "model": "m",
        "messages": MESSAGES,
        **sent,
        "stream_options": {**(options or {}), "include_usage": True},
    }


def test_other_options_survive() -> None:
    sent = body(CHAT, stream=True, stream_options={"continuous_usage_stats": True})
    options = json.loads(parse_request(CHAT, sent).body)["stream_options"]
    assert options == {"continuous_usage_stats": True, "include_usage": True}


def test_an_endpoint_that_does_not_stream_ignores_the_wish() -> None:
    sent = body(EMBEDDINGS, stream=True)
    assert parse_request(EMBEDDINGS, sent) == InferenceRequest(
        EMBEDDINGS, "m", stream=False, usage_wanted=False, body=sent
    )


@pytest.mark.parametrize("value", [["a"], [[1, 2]], [1, 2, 3], "", "x"])
def test_prompts_are_strings_or_lists(value: Any) -> None:
    for endpoint in (COMPLETIONS, EMBEDDINGS):
        sent = body(endpoint, **dict.fromkeys(PROMPTS[endpoint.path], value))
        assert parse_request(endpoint, sent).body == sent


@pytest.mark.parametrize("depth", [10, 250, 1000, 1023, 1030, 100_000])
@pytest.mark.parametrize("more", [b"", b',"stream":true', b',"stream":true,"stream_options":{}'])
def test_nesting_is_taken_or_refused_and_never_anything_else(depth: int, more: bytes) -> None:
    sent = b'{"model":"m","messages":[{"role":"user"}],"deep":%b%b%b}' % (b"[" * depth, b"]" * depth, more)
    try:
        request = parse_request(CHAT, sent)
    except InvalidRequest:
        assert depth > 200
    else:
        assert request.body.count(b"[") == depth + 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "logprobs", "messages"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "5", True, None, [], {}, 10**30])
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_gateway_need_not_read_is_for_the_engine_to_refuse(name: str, value: Any, stream: bool) -> None:
    sent = body(CHAT, **{name: value}, stream=stream)
    request = parse_request(CHAT, sent)
    assert (request.n, request.stream) == (1, stream)
    assert request.body.startswith(sent[:-1])


def test_lm_evals_request_passes_as_it_is() -> None:
    sent = body(COMPLETIONS, max_tokens=0, echo=True, logprobs=1)
    assert parse_request(COMPLETIONS, sent).body == sent


def test_a_request_without_a_prompt_is_the_engines_to_judge() -> None:
    """vLLM takes `prompt_embeds` in its place."""
    sent = b'{"model":"m","prompt_embeds":"AAAA"}'
    assert parse_request(COMPLETIONS, sent).body == sent


@pytest.mark.parametrize(("n", "wanted"), [(1, 1), (3, 3), (10**9, 1)])
def test_choices_are_read(n: int, wanted: int) -> None:
    assert parse_request(CHAT, body(CHAT, n=n)).n == wanted


def test_the_error_of_broken_json_says_where() -> None:
    with pytest.raises(InvalidRequest, match=r"not valid JSON: .*line 1 column \d+") as caught:
        parse_request(CHAT, b'{"model":"m", canary}')
    assert "canary" not in caught.value.message

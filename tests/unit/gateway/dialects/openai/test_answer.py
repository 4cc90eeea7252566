"""Plain answers: the usage read from them, and what is not an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.openai.answer import parse_answer, parse_usage
from gateway.errors import ContextLengthExceeded, EngineBadResponse, EngineRejected, GatewayError
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
    body = json.dumps({"usage": usage}).encode()
    assert parse_answer(body) == (body, wanted)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"<html>", b'{"a":', b"\xff"])
def test_an_answer_that_is_no_object_is_broken(body: bytes) -> None:
    with pytest.raises(EngineBadResponse):
        parse_answer(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"boom"}}', EngineBadResponse),
        (b'{"error":{"message":"prompt exceeds the maximum context length","code":400}}', ContextLengthExceeded),
        (b'{"object":"error","message":"no","code":422}', EngineRejected),
    ],
)
def test_an_error_with_status_200_is_an_error(body: bytes, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        parse_answer(body)


def test_an_error_that_is_null_is_none() -> None:
    body = b'{"choices":[],"error":null,"usage":{"prompt_tokens":2}}'
    assert parse_answer(body) == (body, Usage(2))

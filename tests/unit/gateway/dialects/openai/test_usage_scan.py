"""`usage` found in answers that are never decoded, wherever it stands and however the bytes are cut."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.dialects.openai.usage_scan import UsageScanner
from gateway.usage import Usage

COUNT = {"prompt_tokens": 7, "completion_tokens": 3}
ANSWERS: dict[str, tuple[dict[str, Any], bool]] = {
    "first": ({"usage": COUNT, "data": [1, 2, {"usage": {"prompt_tokens": 99}}]}, True),
    "last": ({"data": [[0.25, -1e-9]] * 20, "usage": COUNT}, True),
    "in the middle": ({"a": {"b": [{"c": "}{]["}]}, "usage": {**COUNT, "d": {"e": [1, "}"]}}, "z": None}, True),
    "alone": ({"usage": COUNT}, True),
    "text that looks like it": ({"data": ['"usage":{"prompt_tokens":1}', "\\"], "usage": COUNT, "z": "x\\"}, True),
    "quotes and backslashes": (
        {"x": "\\", "y": '\\"', "d": [{"t": ['a\\"b]}', "{\\", '"', "]]]"]}], "usage": COUNT},
        True,
    ),
    "deep": ({"d": {"e": {"f": [[[{"g": '\\\\"'}]], ["", "\\"]]}}, "usage": COUNT}, True),
    "a value of that name": ({"x": "usage", "usage": COUNT}, True),
    "only below": ({"usage": None, "us": {"usage": {"prompt_tokens": 5}}, "usages": {"prompt_tokens": 6}}, False),
    "none": ({"n": 1.5, "t": True}, False),
    "empty": ({}, False),
}


def scan(body: bytes, cuts: list[int]) -> UsageScanner:
    scanner = UsageScanner()
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        scanner.feed(body[start:end])
    return scanner


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ANSWERS)
def test_wherever_it_stands_and_however_the_bytes_are_cut(name: str, indent: int | None) -> None:
    content, there = ANSWERS[name]
    body = json.dumps(content, indent=indent).encode()
    wanted = Usage(input=7, output=3) if there else None
    rng = random.Random(20_261_126)  # noqa: S311 - the same cuts in every run
    cuts = [sorted(rng.randrange(len(body) + 1) for _ in range(rng.randrange(7))) for _ in range(200)]
    for each in (*cuts, list(range(len(body)))):
        scanner = scan(body, each)
        assert (scanner.usage, scanner.complete) == (wanted, True), each


def test_an_escaped_name_is_the_same_name() -> None:
    assert scan(rb'{"us\u0061ge":{"prompt_tokens":1}}', [5, 9]).usage == Usage(input=1)


def test_the_last_of_two_counts_holds() -> None:
    assert scan(b'{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}', []).usage == Usage(input=2)


@pytest.mark.parametrize("body", [b"", b'{"a":[1,2', b'{"a":"x}', b'{"a":{"b":1}', b'{"usage":{"prompt_tokens":1}'])
def test_half_an_answer_is_not_complete(body: bytes) -> None:
    assert not scan(body, []).complete


def test_a_count_that_is_none_is_passed_over() -> None:
    assert scan(b'{"usage":[1],"x":{"y":"' + b"z" * 100_000 + b'"}}', [30]).usage is None
    assert scan(b'{"usage":{"x":"' + b"z" * 100_000 + b'"}}', [30]).usage is None

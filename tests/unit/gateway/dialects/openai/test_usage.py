"""The token count of a stream, however its engine tells it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.openai.usage import UsageAccumulator
from gateway.usage import Usage


def reported(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": {"cached_tokens": 1}}


def choices(*indexes: int) -> list[dict[str, Any]]:
    return [{"index": index} for index in indexes]


CASES: dict[str, tuple[int, list[tuple[dict[str, Any], list[dict[str, Any]]]], Usage | None]] = {
    "nothing": (1, [], None),
    "once at the end": (1, [(reported(5, 3), [])], Usage(5, 3, 1)),
    "in every event, and at the end": (
        1,
        [(reported(5, 1), choices(0)), (reported(5, 2), choices(0)), (reported(5, 2), [])],
        Usage(5, 2, 1),
    ),
    "in every event only": (1, [(reported(5, 1), choices(0)), (reported(5, 2), choices(0))], Usage(5, 2, 1)),
    "once for each choice, apart": (3, [(reported(5, count), []) for count in (1, 2, 3)], Usage(5, 6, 1)),
    "once for each choice, in its end": (3, [(reported(5, n + 1), choices(n)) for n in (2, 0, 1)], Usage(5, 6, 1)),
    "two prompts of two choices": (2, [(reported(5, 1), choices(n)) for n in range(4)], Usage(10, 4, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_counted_once(name: str) -> None:
    n, message, wanted = CASES[name]
    tally = UsageAccumulator(n)
    for usage, of in message:
        tally.add(usage, of)
    assert tally.usage == wanted


@pytest.mark.parametrize("index", [None, "0", 1.5, [], True])
def test_an_index_that_is_none_counts_as_the_first(index: Any) -> None:
    tally = UsageAccumulator(1)
    tally.add(reported(5, 3), [{"index": index}])
    assert tally.usage is not None
    assert tally.usage.output == 3

"""The record of a request: what is computed from its fields."""

from __future__ import annotations

import pytest
from tests.support.in_process.record import RECORD

from gateway.usage import Usage


def test_time_per_output_token_leaves_out_the_first_one() -> None:
    assert RECORD._replace(generating=2.0, usage=Usage(output=5)).time_per_output_token == 0.5


@pytest.mark.parametrize(
    ("generating", "usage"), [(None, Usage(output=9)), (1.0, None), (1.0, Usage(output=1)), (1.0, Usage())]
)
def test_time_per_output_token_needs_two_tokens_and_their_times(generating: float | None, usage: Usage | None) -> None:
    assert RECORD._replace(generating=generating, usage=usage).time_per_output_token is None


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RECORD.outcome = "ok"  # type: ignore[misc] # the point of the test

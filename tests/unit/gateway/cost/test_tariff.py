"""What tokens weigh and a second costs."""

from __future__ import annotations

import pytest

from gateway.cost.meter import EngineMeter
from gateway.cost.pricing import Tariff, Weights
from gateway.usage import Usage

WEIGHTS = Weights(input=0.5, cached_input=0.1)


def test_a_worker_pays_for_its_part_of_a_second() -> None:
    assert Tariff(7200.0, 4, WEIGHTS).usd_per_second == 0.5


@pytest.mark.parametrize(
    ("usage", "equivalents"),
    [
        (Usage(), 0.0),
        (Usage(output=7), 7.0),
        (Usage(input=10), 5.0),
        (Usage(input=10, output=3, cached=4), 3 + 6 * 0.5 + 4 * 0.1),
        (Usage(input=10, cached=10), 1.0),
        (Usage(input=2, cached=50), 0.2),  # an engine that says nonsense
        (Usage(output=5, reasoning=5), 5.0),
    ],
)
def test_tokens_as_output_tokens(usage: Usage, equivalents: float) -> None:
    account = EngineMeter("vllm", Tariff(1.0, 1, WEIGHTS))
    account.begin()
    usd, weight = account.end(usage, events=99)
    assert usd == 0.0
    assert weight == pytest.approx(equivalents)


def test_an_account_charges_dollars() -> None:
    now = [50.0]
    account = EngineMeter("vllm", Tariff(7200.0, 2, WEIGHTS), clock=lambda: now[0])
    account.meter.start(now[0])
    account.begin()
    now[0] += 3
    assert account.end(Usage(input=4, output=6), events=0) == (3.0, 8.0)


def test_a_request_without_usage_weighs_what_went_out() -> None:
    account = EngineMeter("vllm", Tariff(0.0, 1, WEIGHTS))
    account.begin()
    assert account.end(None, events=7) == (0.0, 7.0)

"""What a request costs: in its answer's head, in its log line and in the counters, however it ends."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import CHAT, Gateway, chat, nonzero_samples, until
from tests.support.in_process.wire import dial, post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

A_DOLLAR_A_SECOND = "3600"
SECONDS = 0.2  # less a little: event loops round their timers
PLAIN = {"ttft_s": SECONDS, "tokens": 8, "prompt_tokens": 10, "cached_tokens": 4}
# By the weights of config/prices.yaml: 8 out, 6 in, 4 cached.
EQUIVALENTS = 8 + 6 * 0.25 + 4 * 0.025


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cost.ledger.FLUSH_INTERVAL_S", 0.02)


@pytest.fixture
async def priced(serve: Serve, alpha: Mock) -> Gateway:
    """A gateway whose only engine costs a dollar a second."""
    return await serve(alpha, engine_prices=f"alpha={A_DOLLAR_A_SECOND}")


async def booked(gateway: Gateway, usd: float) -> None:
    """Waits until the counters say what was paid: all four the same, and nothing else."""
    paid = pytest.approx(usd, abs=1e-10)  # the header has 12 digits
    await until(lambda: part(gateway, "requests") == paid)
    metrics = gateway.metrics
    assert nonzero_samples(metrics.model_cost) == {("mock",): paid}
    assert nonzero_samples(metrics.key_cost) == {("tester",): paid}


def part(gateway: Gateway, name: str, engine: str = "alpha") -> float:
    return nonzero_samples(gateway.metrics.cost).get((engine, name), 0.0)


async def test_a_plain_answer_says_what_it_cost_as_its_log_line_and_the_counters_do(priced: Gateway) -> None:
    answer = await priced.chat(mock=PLAIN)
    header = answer.headers["x-cost-usd"]
    assert re.fullmatch(r"\d+\.\d{12}", header)
    usd = float(header)
    assert 0.9 * SECONDS <= usd < SECONDS + 2
    await priced.settled(1)
    assert priced.requests()[0]["cost_usd"] == pytest.approx(usd, abs=1e-12)
    await booked(priced, usd)
    assert nonzero_samples(priced.metrics.output_equivalent_tokens) == {("mock",): pytest.approx(EQUIVALENTS)}
    assert nonzero_samples(priced.metrics.hourly_price) == {("alpha",): 3600.0}


async def test_a_tiny_price_is_no_number_with_an_exponent(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, engine_prices="alpha=0.000001")
    answer = await gateway.chat(mock={"tokens": 1})
    assert re.fullmatch(r"0\.\d{12}", answer.headers["x-cost-usd"])


async def test_a_stream_says_it_in_the_log_and_the_counters_only(priced: Gateway) -> None:
    answer = await priced.chat(stream=True, mock=PLAIN)
    assert "x-cost-usd" not in answer.headers
    await priced.settled(1)
    usd = priced.requests()[0]["cost_usd"]
    assert 0.9 * SECONDS <= usd < SECONDS + 2
    await booked(priced, usd)
    assert nonzero_samples(priced.metrics.output_equivalent_tokens) == {("mock",): pytest.approx(EQUIVALENTS)}


async def test_without_a_price_there_is_no_cost_anywhere(gateway: Gateway) -> None:
    answer = await gateway.chat()
    assert "x-cost-usd" not in answer.headers
    await gateway.settled(1)
    assert gateway.requests()[0]["cost_usd"] is None
    metrics = gateway.metrics
    for metric in (
        *(metrics.cost, metrics.model_cost, metrics.key_cost, metrics.output_equivalent_tokens),
        metrics.hourly_price,
    ):
        assert [sample for family in metric.collect() for sample in family.samples] == []


async def test_an_engine_without_a_price_costs_nothing_beside_one_that_has_one(
    serve: Serve, alpha: Mock, beta: Mock
) -> None:
    await beta.change(models=["other-model"])
    gateway = await serve(alpha, beta, engine_prices="beta=1")
    answer = await gateway.chat()
    assert "x-cost-usd" not in answer.headers
    await gateway.settled(1)
    assert gateway.requests()[0]["cost_usd"] is None
    assert {labels[0] for labels in nonzero_samples(gateway.metrics.cost)} <= {"beta"}


async def test_what_reaches_no_engine_costs_nothing(priced: Gateway) -> None:
    for model in ("made-up", 7):
        answer = await priced.post(CHAT, model=model, messages=[])
        assert answer.is_client_error
        assert "x-cost-usd" not in answer.headers
    await priced.settled(2)
    assert [line["cost_usd"] for line in priced.requests()] == [None, None]
    assert part(priced, "requests") == 0.0


async def test_an_engines_error_costs_the_time_that_it_took(priced: Gateway) -> None:
    answer = await priced.chat(mock={"fault": "status:500", "ttft_s": SECONDS})
    assert answer.status_code == 502
    await priced.settled(1)
    assert priced.requests()[0]["cost_usd"] == pytest.approx(float(answer.headers["x-cost-usd"]), abs=1e-12)
    await booked(priced, float(answer.headers["x-cost-usd"]))


async def test_a_client_that_leaves_pays_for_what_it_had(priced: Gateway) -> None:
    async with dial(priced.port) as client:
        await client.send(post(chat(stream=True, mock={"tokens": 900, "interval_s": 0.05})))
        await client.until(b" w003")
        client.reset()
    await priced.ended("cancelled", 200, stream=True)
    line = priced.requests()[0]
    assert line["cost_usd"] >= 0.14
    await booked(priced, line["cost_usd"])
    weight = nonzero_samples(priced.metrics.output_equivalent_tokens)[("mock",)]
    assert weight == nonzero_samples(priced.metrics.wasted_tokens)[("mock", "cancelled")]


async def test_a_client_that_leaves_before_the_first_token_pays_for_the_time_if_it_was_alone(priced: Gateway) -> None:
    async with dial(priced.port) as client:
        await client.send(post(chat(mock={"ttft_s": 30})))
        await until(lambda: priced.engine("alpha").inflight == 1)
        await asyncio.sleep(SECONDS)
        client.reset()
    await priced.ended("cancelled", 499, stream=False)
    line = priced.requests()[0]
    assert line["cost_usd"] >= 0.9 * SECONDS
    await booked(priced, line["cost_usd"])


async def test_a_retried_request_costs_both_attempts(serve: Serve, alpha: Mock, beta: Mock) -> None:
    gateway = await serve(alpha, beta, engine_prices="alpha=3600, beta=7200")
    await alpha.change(fault="reset", ttft_s=SECONDS)
    await beta.change(running=5, ttft_s=SECONDS)  # so that alpha is asked first
    await until(lambda: gateway.engine("beta").load.running == 5)
    answer = await gateway.chat()
    assert answer.status_code == 200
    await gateway.settled(1)
    line = gateway.requests()[0]
    assert (line["engine"], line["attempts"]) == ("beta", 2)
    assert line["cost_usd"] == pytest.approx(float(answer.headers["x-cost-usd"]), abs=1e-12)
    await until(lambda: part(gateway, "requests", "beta") > 0)
    first, second = part(gateway, "requests"), part(gateway, "requests", "beta")
    assert second >= 1.8 * SECONDS
    assert line["cost_usd"] == pytest.approx(first + second, abs=1e-11)
    assert nonzero_samples(gateway.metrics.key_cost) == {("tester",): pytest.approx(first + second, rel=1e-9)}


async def test_requests_and_idle_time_are_all_the_time_there_was(priced: Gateway) -> None:
    meter = priced.engine("alpha").meter.meter  # type: ignore[union-attr]  # the fixture gave it a price
    await asyncio.gather(
        *(priced.chat(stream=bool(number % 2), mock={"tokens": number, "interval_s": 0.01}) for number in range(12))
    )
    await priced.settled(12)
    assert (meter.inflight, meter.pool) == (0, 0.0)
    lines = priced.requests()
    assert min(line["cost_usd"] for line in lines) >= 0
    await booked(priced, sum(line["cost_usd"] for line in lines))
    idle = part(priced, "idle")
    await until(lambda: part(priced, "idle") > idle)
    assert part(priced, "lost") == 0.0


async def test_llama_cpps_plain_answers_have_their_price_too(serve: Serve, llama: Mock) -> None:
    """They are aggregated from a stream."""
    gateway = await serve(llama, engine_prices=f"llama={A_DOLLAR_A_SECOND}")
    answer = await gateway.chat(mock=PLAIN)
    assert 0.9 * SECONDS <= float(answer.headers["x-cost-usd"]) < SECONDS + 2
    await until(lambda: nonzero_samples(gateway.metrics.output_equivalent_tokens) != {})
    await gateway.settled(1)

"""Every counter of the gateway against what happened, with workers and engines that are killed at known points."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest
from tests.integration.ledger import disruptions
from tests.integration.ledger.request_case import RequestCase
from tests.integration.ledger.request_cases import HELD, MIXED, OK_PLAIN, OK_STREAM, TIMEOUTS
from tests.integration.ledger.scraper import rising, scrape, scraping
from tests.integration.ledger.setups import (
    assert_counters_match,
    assert_engine_agrees,
    assert_keys_add_up,
    assert_no_new_series,
    engine,
    long_timeouts,
    short_timeouts,
)
from tests.support.services import Services

pytestmark = pytest.mark.xdist_group("ledger")

_SEED = 7
_FEW = [OK_PLAIN, OK_STREAM] * 4


def _shuffled(kinds: Mapping[RequestCase, int], times: int) -> Iterator[list[RequestCase]]:
    """All kinds, each as often as given, in another order each time but the same one in every run."""
    order = random.Random(_SEED)  # noqa: S311 - no secret
    for _ in range(times):
        mixed = list(Counter(kinds).elements())
        order.shuffle(mixed)
        yield mixed


async def _run_with_long_timeouts(services: Services, workers: int, rounds: int) -> str:
    setup = long_timeouts(services, workers)
    gateway, traffic, mocks = setup
    initial = rising(scrape(gateway))
    with scraping(gateway) as problems:
        for turn, mixed in enumerate(_shuffled(MIXED, rounds)):
            await traffic.send_all(mixed)
            await disruptions.kill_worker(gateway, traffic, _FEW, turn)
            assert traffic.expected.lost.total() == (turn + 1) * len(HELD)
            await disruptions.recycle(gateway, traffic, mixed)
        await assert_counters_match(setup)
        assert_engine_agrees(setup, "left")
        assert_engine_agrees(setup, "right")

        await disruptions.eject_engine(gateway, traffic, mocks["twin"])
        await disruptions.kill_engine(gateway, traffic, mocks["left"])
        mocks["left"] = engine(services, "left", port=mocks["left"].port)
        await disruptions.recycle(gateway, traffic)
        await disruptions.stop_accepting(gateway, traffic, mocks["left"])
        await disruptions.kill_last_engine(gateway, traffic, mocks["right"])
        await assert_counters_match(setup)
    assert problems == []
    assert_keys_add_up(setup)
    assert_no_new_series(setup, initial)
    return f"{workers} workers, {rounds} killed, {rounds + 1} times recycled: {traffic.expected.table()}"


async def _run_with_short_timeouts(services: Services, workers: int, rounds: int) -> str:
    setup = short_timeouts(services, workers)
    gateway, traffic, _ = setup
    initial = rising(scrape(gateway))
    with scraping(gateway) as problems:
        for mixed in _shuffled({**TIMEOUTS, OK_PLAIN: 10, OK_STREAM: 10}, rounds):
            await traffic.send_all(mixed)
        await disruptions.exceed_shutdown_grace(gateway, traffic)
        traffic.expected.add(
            [disruptions.ejections("unhealthy", 2 * workers)]
        )  # each worker probes once, when it starts
        await assert_counters_match(setup)
    assert problems == []
    assert_keys_add_up(setup)
    assert_no_new_series(setup, initial)
    assert_engine_agrees(setup, "left")
    return f"{workers} workers, short timeouts: {traffic.expected.table()}"


@pytest.mark.parametrize("workers", [1, 4])
async def test_every_counter_is_right(services: Services, measured: Callable[[str], None], workers: int) -> None:
    measured(await _run_with_long_timeouts(services, workers, rounds=1))


async def test_every_timeout_is_counted(services: Services, measured: Callable[[str], None]) -> None:
    measured(await _run_with_short_timeouts(services, workers=2, rounds=1))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 4])
async def test_every_counter_is_right_after_thousands_of_requests(
    services: Services, measured: Callable[[str], None], workers: int
) -> None:
    measured(await _run_with_long_timeouts(services, workers, rounds=12))
    measured(await _run_with_short_timeouts(services, workers, rounds=6))

"""Every counter of the gateway against the truth, over workers and engines that are killed at known points."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest
from tests.integration.ledger import acts
from tests.integration.ledger.case import Case
from tests.integration.ledger.cases import HELD, MIXED, OK_PLAIN, OK_STREAM, TIMEOUTS
from tests.integration.ledger.sampler import watched
from tests.integration.ledger.stage import (
    assert_engine_agrees,
    assert_true,
    engine,
    impatient,
    patient,
)
from tests.support.stage import Stage

_SEED = 7
_FEW = [OK_PLAIN, OK_STREAM] * 4


def _shuffled(kinds: Mapping[Case, int], times: int) -> Iterator[list[Case]]:
    """All kinds as often as they say, in another order each time, the same at every run."""
    order = random.Random(_SEED)  # noqa: S311 - no secret
    for _ in range(times):
        mixed = list(Counter(kinds).elements())
        order.shuffle(mixed)
        yield mixed


async def _drive_patient(stage: Stage, workers: int, rounds: int) -> str:
    scene = patient(stage, workers)
    gateway, traffic, mocks = scene
    with watched(gateway) as faults:
        for turn, mixed in enumerate(_shuffled(MIXED, rounds)):
            await traffic.send_all(mixed)
            await acts.kill_a_worker(gateway, traffic, _FEW, turn)
            assert traffic.book.lost.total() == (turn + 1) * len(HELD)
            await acts.recycle(gateway, traffic, mixed)
        await assert_true(scene)
        assert_engine_agrees(scene, "left")
        assert_engine_agrees(scene, "right")

        await acts.eject(gateway, traffic, mocks["twin"])
        await acts.kill_an_engine(gateway, traffic, mocks["left"])
        mocks["left"] = engine(stage, "left", port=mocks["left"].port)
        await acts.recycle(gateway, traffic)
        await acts.go_deaf(gateway, traffic, mocks["left"])
        await acts.kill_the_last_engine(gateway, traffic, mocks["right"])
        await assert_true(scene)
    assert faults == []
    return f"{workers} workers, {rounds} killed, {rounds + 1} times recycled: {traffic.book.table()}"


async def _drive_impatient(stage: Stage, workers: int, rounds: int) -> str:
    scene = impatient(stage, workers)
    gateway, traffic, _ = scene
    with watched(gateway) as faults:
        for mixed in _shuffled({**TIMEOUTS, OK_PLAIN: 10, OK_STREAM: 10}, rounds):
            await traffic.send_all(mixed)
        await acts.run_out_of_grace(gateway, traffic)
        traffic.book.add([acts.ejections("sick", 2 * workers)])  # each worker looks once, when it starts
        await assert_true(scene)
    assert faults == []
    assert_engine_agrees(scene, "left")
    return f"{workers} workers, impatient: {traffic.book.table()}"


@pytest.mark.parametrize("workers", [1, 4])
async def test_every_counter_is_true(stage: Stage, measured: Callable[[str], None], workers: int) -> None:
    measured(await _drive_patient(stage, workers, rounds=1))


async def test_every_timeout_is_counted(stage: Stage, measured: Callable[[str], None]) -> None:
    measured(await _drive_impatient(stage, workers=2, rounds=1))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 4])
async def test_every_counter_is_true_over_thousands(
    stage: Stage, measured: Callable[[str], None], workers: int
) -> None:
    measured(await _drive_patient(stage, workers, rounds=12))
    measured(await _drive_impatient(stage, workers, rounds=6))

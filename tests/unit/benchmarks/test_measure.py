"""Targets are measured in turn, and one that ends does not end the run."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest
from benchmarks import child, measure, plan, targets
from benchmarks.load import Endpoint, Load, Timing
from benchmarks.targets.engine import mismatches
from tests.support.program import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.native_programs import NativePrograms

SMALL = Load(100, 4)
STREAMS = Load(10, 5, tokens=20, stream=True, interval_s=0.01)


@pytest.fixture
def workspace(tmp_path: Path, programs: NativePrograms) -> targets.Workspace:
    return targets.Workspace(tmp_path, free_port(), programs)


@pytest.fixture
def engine(workspace: targets.Workspace) -> Iterator[targets.Engine]:
    engine = targets.Engine.start(workspace)
    yield engine
    targets.stop([engine.target])


def test_a_sample_has_the_cost_of_target_engine_and_load_generator(
    engine: targets.Engine, workspace: targets.Workspace
) -> None:
    sample = measure.sample(engine.target, engine, workspace, SMALL)
    assert (sample.done, sample.tokens, sample.failures) == (100, 1_600, Counter())
    assert 0 < sample.cpu_s < 1
    assert sample.engine_cpu_s == pytest.approx(sample.cpu_s, abs=0.05)  # the target is the engine
    assert 0 < sample.load_cpu_s < 1
    assert 0.5 < sample.rss_mb < 50
    assert sample.ttft_ms is None


def test_the_engine_is_paced_for_each_load(engine: targets.Engine, workspace: targets.Workspace) -> None:
    paced = measure.sample(engine.target, engine, workspace, STREAMS)
    fast = measure.sample(engine.target, engine, workspace, replace(STREAMS, interval_s=0.0))
    assert (paced.tokens, fast.tokens) == (200, 200)
    assert paced.wall_s >= 2 * 19 * 0.01
    assert paced.gap_ms is not None
    assert paced.gap_ms.p50 > 5


def test_every_target_is_measured_once_per_scenario_and_round(
    engine: targets.Engine, workspace: targets.Workspace
) -> None:
    ended = child.start("ended", [sys.executable, "-c", ""], {}, workspace.directory, workspace.directory)
    ended.process.wait()
    dead = targets.Target("dead", Endpoint(engine.target.endpoint.port), ended, 1.0)
    given = plan.Plan(rounds=3, starts=1, loads={"plain": SMALL, "streams": STREAMS})
    samples = measure.measure([engine.target, dead], engine, workspace, given)
    assert {name: {scenario: len(ones) for scenario, ones in of.items()} for name, of in samples.items()} == {
        "direct": {"plain": 3, "streams": 3},
        "dead": {"plain": 3, "streams": 3},
    }
    assert all(sample.failures == Counter() for ones in samples["direct"].values() for sample in ones)
    assert samples["dead"]["plain"][2].failures == Counter({"the process has ended": 1})


def test_failures_are_in_the_results_by_their_reason() -> None:
    sample = measure.Sample(1, 16, 0.5, 0.1, 0.1, 1.0, 10.0, Timing(1, 2, 3, 4), failures=Counter({"incomplete": 8}))
    written = json.loads(orjson.dumps(sample.as_json()))
    assert written["failures"] == {"incomplete": 8}
    assert written["total_ms"] == {"p50": 1, "p90": 2, "p99": 3, "max": 4}


def test_an_answer_that_the_engine_did_not_give_is_a_failure() -> None:
    before, after = {"finished": 5}, {"finished": 9, "running": 0}
    assert mismatches(before, after, 4) == Counter()
    assert mismatches(before, after, 6) == Counter({"requests that clients and engine count differently": 2})
    assert mismatches(before, {**after, "running": 3}, 4) == Counter({"requests still running in the engine": 3})

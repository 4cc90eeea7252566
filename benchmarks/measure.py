"""Measures targets in turn: every target once per scenario and round, each round starting with another target."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from benchmarks import load, plan, processes
from benchmarks.targets.engine import mismatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.load import Load, Timing
    from benchmarks.targets import Engine, Target, Workspace

WARMING = (plan.plain(32), plan.prompt(100), plan.PACED)
SamplesByScenario = dict[str, list["Sample"]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one target in one scenario.

    Args:
        done: requests with a complete and correct answer.
        tokens: in them; of a stream each is an event.
        cpu_s: CPU seconds of the target's processes meanwhile.
        engine_cpu_s: of the mock engine.
        load_cpu_s: of the load generator.
        wall_s: seconds that it took.
        rss_mb: resident memory of the target's processes at the end, in megabytes.
        total_ms: from sending a request to the end of its answer.
        ttft_ms: from sending a request to its first token, for streams.
        gap_ms: between two tokens of a stream.
        failures: reasons and how often each occurred.
    """

    done: int
    tokens: int
    cpu_s: float
    engine_cpu_s: float
    load_cpu_s: float
    wall_s: float
    rss_mb: float
    total_ms: Timing | None = None
    ttft_ms: Timing | None = None
    gap_ms: Timing | None = None
    failures: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return it for the results; `asdict` alone spoils a Counter before Python 3.12."""
        return asdict(replace(self, failures=Counter())) | {"failures": dict(self.failures)}


def sample(target: Target, engine: Engine, workspace: Workspace, given: Load) -> Sample:
    """Run one load at one target.

    Raises:
        ProcessLookupError: the target has ended.
    """
    root, engine_pid = target.process.pid, engine.target.process.pid
    engine.pace(given)
    counted = engine.counters()
    before, engine_before = processes.usage(root), processes.own_cpu_s(engine_pid)
    outcome = load.run(workspace.programs.load_generator, target.endpoint, given)
    after, engine_after = processes.usage(root), processes.own_cpu_s(engine_pid)
    return Sample(
        done=outcome.done,
        tokens=outcome.tokens,
        cpu_s=after.cpu_s - before.cpu_s,
        engine_cpu_s=engine_after - engine_before,
        load_cpu_s=outcome.cpu_s,
        wall_s=outcome.wall_s,
        rss_mb=after.rss_mb,
        total_ms=outcome.total_ms,
        ttft_ms=outcome.ttft_ms,
        gap_ms=outcome.gap_ms,
        failures=outcome.failures + mismatches(counted, engine.counters(), outcome.done),
    )


def measure(
    running: Sequence[Target], engine: Engine, workspace: Workspace, given: plan.Plan
) -> dict[str, SamplesByScenario]:
    """Measure every target in every scenario; return the samples by target and scenario, in the order of the rounds."""
    for target in running:
        for scenario in WARMING:
            _sample_or_failure(target, engine, workspace, plan.WARM_UP[scenario])
    samples: dict[str, SamplesByScenario] = {target.name: {name: [] for name in given.loads} for target in running}
    for number in range(given.rounds):
        for scenario, requested in given.loads.items():
            for turn in range(len(running)):
                target = running[(number + turn) % len(running)]
                samples[target.name][scenario].append(_sample_or_failure(target, engine, workspace, requested))
            print(f"round {number + 1} of {given.rounds}: {scenario} measured", file=sys.stderr, flush=True)
    return samples


def _sample_or_failure(target: Target, engine: Engine, workspace: Workspace, given: Load) -> Sample:
    """Go on without a target that has ended: its failures stand in the results."""
    try:
        return sample(target, engine, workspace, given)
    except ProcessLookupError as error:
        return Sample(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, failures=Counter({str(error): 1}))

"""Guards the gateway's cost: CPU per plain request and per streamed event, as ratios to nginx's in the same run.

    python benchmarks/guard.py              compare with baseline.json
    python benchmarks/guard.py --runs 10    show how much the ratios differ from run to run
    python benchmarks/guard.py --write      make the present ratios the baseline (make bench-baseline)

CPU time does not contain the wait for a core. Each round measures nginx before and after the gateway, and the median of
the rounds' ratios counts. But a busy machine takes caches away, which a large program feels more than a small one: the
more CPU other processes used meanwhile, the more is allowed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: make its package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orjson

from benchmarks import native_programs, processes, targets
from benchmarks.load import Load
from benchmarks.measure import sample
from benchmarks.targets.gateway import start_gateway
from benchmarks.targets.nginx import start_nginx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Sample

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.25  # above the baseline, on a machine that does nothing else
BUSY_TOLERANCE = 2.0  # above that, where other processes used all of the machine; in proportion where they used a part
CALM = 0.1  # share of the machine that others may use while a baseline is written
ROUNDS = 7
FIRST_PORT = 18_400
NGINX_REQUESTS = 2  # times as many, since each is so cheap that a few would be all noise
LOADS = {
    "plain request": Load(2_000),
    "streamed event": Load(100, 100, tokens=25, stream=True, interval_s=0.02, spread_s=0.5),
}
Ratios = dict[str, float]
"""Of the gateway's CPU time to nginx's, by what it is spent on: the names of `LOADS`."""


class WrongAnswersError(Exception):
    """Requests failed, so that the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Round:
    """Measurements of the same kind of load, one directly after the other.

    Args:
        nginx: before and after the gateway.
        gateway: between these.
    """

    nginx: tuple[Sample, Sample]
    gateway: Sample

    def ratio(self, unit: str) -> float:
        """Return the ratio of their CPU times per request or per event.

        Raises:
            WrongAnswersError: a request failed.
        """
        first, last = self.nginx
        if failures := first.failures + self.gateway.failures + last.failures:
            raise WrongAnswersError(f"{unit}: {dict(failures)}")
        counts = [one.tokens if LOADS[unit].stream else one.done for one in (first, self.gateway, last)]
        return (self.gateway.cpu_s / counts[1]) / ((first.cpu_s + last.cpu_s) / (counts[0] + counts[2]))

    def cpu_s(self) -> float:
        """Return all CPU seconds, those of engine and load generator included."""
        samples = (*self.nginx, self.gateway)
        return sum(one.cpu_s + one.engine_cpu_s + one.load_cpu_s for one in samples)


def medians(rounds: Mapping[str, Sequence[Round]]) -> Ratios:
    """Return the median ratio of each load.

    Raises:
        WrongAnswersError: a request failed.
    """
    return {unit: statistics.median(one.ratio(unit) for one in measured) for unit, measured in rounds.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of all loads.

    Args:
        ratios: medians over the rounds.
        others: share of the machine's CPU that other processes used meanwhile, from 0 to 1.
    """

    ratios: Ratios
    others: float

    @property
    def tolerance(self) -> float:
        """How far above the baseline a ratio may be, as a share of it."""
        return TOLERANCE + BUSY_TOLERANCE * self.others


def regressions(measured: Measured, baseline: Ratios) -> list[str]:
    """Return a sentence for each ratio that is too far above its baseline."""
    ratios = measured.ratios
    return [
        f"A {unit} costs {ratios[unit]:.2f} times nginx's CPU, {ratios[unit] / expected - 1:.0%} more than the "
        f"{expected:.2f} of benchmarks/{BASELINE.name}; {measured.tolerance:.0%} is allowed. "
        f"If it is meant: make bench-baseline"
        for unit, expected in baseline.items()
        if ratios[unit] > expected * (1 + measured.tolerance)
    ]


def read_baseline(path: Path = BASELINE) -> Ratios:
    """Return the committed ratios."""
    ratios: Ratios = orjson.loads(path.read_bytes())
    return ratios


def measure(directory: Path, first_port: int = FIRST_PORT, runs: int = 1, rounds: int = ROUNDS) -> list[Measured]:
    """Start the engine, nginx and a gateway, and measure so many times.

    Raises:
        UnavailableError: nginx or the gateway cannot be started.
        CompilerError: the mock engine cannot be compiled.
        WrongAnswersError: a request failed.
    """
    workspace = targets.Workspace(directory, first_port, native_programs.build())
    workspace.directory.chmod(0o711)  # nginx's worker is another user when this runs as root
    running: list[targets.Target] = []
    try:
        engine = targets.Engine.start(workspace)
        running.append(engine.target)
        running.append(start_nginx(workspace))
        running.append(start_gateway(workspace, 1))
        _, nginx, gateway = running
        for target in (nginx, gateway):
            for load in LOADS.values():
                sample(target, engine, workspace, load)  # discarded: connections open, caches fill
        return [_measured(nginx, gateway, engine, workspace, rounds) for _ in range(runs)]
    finally:
        targets.stop(running)


def _measured(
    nginx: targets.Target, gateway: targets.Target, engine: targets.Engine, workspace: targets.Workspace, count: int
) -> Measured:
    began_at, busy, own = time.monotonic(), processes.machine_cpu_s(), time.process_time()
    rounds = _rounds(nginx, gateway, engine, workspace, count)
    took = (time.monotonic() - began_at) * (os.cpu_count() or 1)
    own = time.process_time() - own + sum(one.cpu_s() for measured in rounds.values() for one in measured)
    return Measured(medians(rounds), min(max((processes.machine_cpu_s() - busy - own) / took, 0.0), 1.0))


def _rounds(
    nginx: targets.Target, gateway: targets.Target, engine: targets.Engine, workspace: targets.Workspace, count: int
) -> dict[str, list[Round]]:
    """Measure both in turn, each load once per round."""
    rounds: dict[str, list[Round]] = {unit: [] for unit in LOADS}
    for _ in range(count):
        for unit, load in LOADS.items():
            first = sample(nginx, engine, workspace, _for_nginx(load))
            between = sample(gateway, engine, workspace, load)
            rounds[unit].append(Round((first, sample(nginx, engine, workspace, _for_nginx(load))), between))
    return rounds


def _for_nginx(load: Load) -> Load:
    return load if load.stream else replace(load, requests=NGINX_REQUESTS * load.requests)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; 1 when the gateway has become too dear."""
    parser = argparse.ArgumentParser(description="Guard the gateway's CPU cost as a ratio to nginx's.")
    parser.add_argument("--runs", type=int, default=1, help="how often to measure [1]")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each run [{ROUNDS}]")
    parser.add_argument("--write", action="store_true", help=f"write the medians to {BASELINE.name}")
    parser.add_argument("--first-port", type=int, default=FIRST_PORT, help="uses up to 200 ports from this one")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-", dir="/dev/shm") as directory:
        measured = measure(Path(directory), given.first_port, given.runs, given.rounds)
    ratios = {unit: statistics.median(run.ratios[unit] for run in measured) for unit in LOADS}
    others = statistics.median(run.others for run in measured)
    print(f"other processes used {others:.0%} of the machine")
    for unit, ratio in ratios.items():
        runs = ", ".join(f"{run.ratios[unit]:.2f}" for run in measured)
        print(f"{unit}: {ratio:.2f} times nginx's CPU" + (f" (median of {runs})" if given.runs > 1 else ""))
    if given.write and others > CALM:
        print(f"a baseline needs a calm machine, of which others use {CALM:.0%} at most: try again", file=sys.stderr)
        return 1
    if given.write:
        rounded = {unit: round(ratio, 2) for unit, ratio in ratios.items()}
        BASELINE.write_bytes(orjson.dumps(rounded, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    found = regressions(Measured(ratios, others), read_baseline())
    print("\n".join(found) or "within the tolerance of the baseline")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure gateways side by side, in one interleaved run: what `make bench` calls.

    python benchmarks/run.py --short --targets nginx,gateway-1
    python benchmarks/run.py --out benchmarks/results/NAME.json --publish

`README.md` beside this file explains what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import signal
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run as a script: make its package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orjson

from benchmarks import document, native_programs, plan, processes, report, targets
from benchmarks.measure import measure
from benchmarks.targets.engine import DIRECT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

RESULTS = Path(__file__).with_name("results")
FIRST_PORT = 18_200
LIBRARIES = ("gunicorn", "uvicorn", "uvloop", "httptools", "orjson", "fastapi")


def run(given: plan.Plan, names: Sequence[str], first_port: int, command: str) -> dict[str, Any]:
    """Start the targets, measure and stop them; return everything about the run, as it is written to a file."""
    load_before = os.getloadavg()[0]
    cpus = os.cpu_count() or 1
    if load_before > cpus / 2:
        print(f"the machine is busy (load {load_before:.1f}): times will be noisy", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as directory:
        workspace = targets.Workspace(Path(directory), first_port, native_programs.build())
        workspace.directory.chmod(0o711)  # nginx's worker is another user when this runs as root
        running: list[targets.Target] = []
        try:
            engine = targets.Engine.start(workspace)
            running.append(engine.target)
            started, starts, missing = targets.start(workspace, names, given.starts)
            running += started
            idle = {target.name: processes.usage(target.process.pid).rss_mb for target in running}
            samples = measure(running, engine, workspace, given)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not leave children behind
                signal.signal(number, signal.SIG_IGN)
            targets.stop(running)
    catalogue = targets.CATALOGUE
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": {
            "cpus": cpus,
            "load_before": load_before,
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "plan": asdict(given),
        "left_out": missing,
        "targets": {
            target.name: {
                "does": "the mock engine itself" if target.name == DIRECT else catalogue[target.name].does,
                "version": None if target.name == DIRECT else catalogue[target.name].version(),
                "starts_s": starts.get(target.name, []),
                "idle_rss_mb": idle[target.name],
                "samples": {name: [one.as_json() for one in ones] for name, ones in samples[target.name].items()},
            }
            for target in running
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; 1 when a target failed requests or could not be measured."""
    parser = argparse.ArgumentParser(description="Measure gateways in front of a mock engine, side by side.")
    everything = ",".join(targets.CATALOGUE)
    parser.add_argument("--targets", default=everything, help=f"of {everything} [all]; the engine itself always runs")
    parser.add_argument("--short", action="store_true", help="minutes instead of the better part of an hour: rough")
    parser.add_argument("--rounds", type=int, help="how often each target is measured in each scenario")
    parser.add_argument("--scenarios", help=f"only those whose name has this word, of: {'; '.join(plan.WARM_UP)}")
    parser.add_argument("--first-port", type=int, default=FIRST_PORT, help="uses up to 200 ports from this one")
    parser.add_argument(
        "--out", type=Path, help="write all results to this file, as JSON [benchmarks/results/DATE.json]"
    )
    parser.add_argument("--publish", action="store_true", help="write the tables and charts to docs/")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: show or publish such a file")
    given = parser.parse_args(arguments)
    names = [name for name in given.targets.split(",") if name not in {"", DIRECT}]
    if unknown := [name for name in names if name not in targets.CATALOGUE]:
        parser.error(f"unknown target {unknown[0]}")
    chosen = plan.short() if given.short else plan.full()
    loads = {name: load for name, load in chosen.loads.items() if (given.scenarios or "") in name}
    chosen = replace(chosen, rounds=chosen.rounds if given.rounds is None else given.rounds, loads=loads)
    if chosen.rounds < 1 or not loads:
        parser.error("nothing to measure: rounds start at 1, and a scenario must have the word of --scenarios")
    for number in (signal.SIGTERM, signal.SIGINT):  # SIGINT too: a shell starts background jobs with it ignored
        signal.signal(number, _interrupt)
    try:
        if given.source:
            results = orjson.loads(given.source.read_bytes())
        else:
            command = shlex.join(["python", "benchmarks/run.py", *(sys.argv[1:] if arguments is None else arguments)])
            results = run(chosen, names, given.first_port, command)
    except native_programs.CompilerError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.tables(results))
    if given.source is None and (given.out or not given.short):
        _write(results, given.out or RESULTS / f"{results['when'][:10]}.json")
    if given.publish:
        document.publish(results)
    return int(bool(report.failures(results)) or bool(results["left_out"]))


def _write(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print(f"all results: {path}", file=sys.stderr)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat either signal as Ctrl-C, so that the children are stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure gateways side by side, in one interleaved run: CPU per request and per streamed event, added TTFT, memory.

    python benchmarks/run.py --targets nginx,gateway --workers 1,2 --rounds 5 --out benchmarks/results/NAME.json

`README.md` beside this file explains what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run as a script: make its package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orjson
import uvloop

from benchmarks import child, load, processes, report, targets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

IDLE_TIMEOUT_S = 2.0
LIBRARIES = ("gunicorn", "uvicorn", "uvloop", "httptools", "orjson", "fastapi")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Args:
        rounds: how often each target is measured, in turn with the others.
        requests: plain requests per round.
        connections: for the plain requests.
        plain_tokens: tokens of each plain response.
        streams: concurrent streams.
        repeats: how often each stream is repeated in a round.
        stream_tokens: token events of each stream.
        interval_s: seconds between them.
        timeout_s: seconds for each of the two loads.
    """

    rounds: int = 5
    requests: int = 20_000
    connections: int = 32
    plain_tokens: int = 16
    streams: int = 100
    repeats: int = 4
    stream_tokens: int = 50
    interval_s: float = 0.02
    timeout_s: float = 300.0

    def warm_up(self) -> Plan:
        """Return a short plan, whose figures are discarded: connections open, caches fill, modules are imported."""
        return Plan(
            requests=min(self.requests, 1_000), repeats=1, streams=self.streams, connections=self.connections,
            stream_tokens=self.stream_tokens, interval_s=self.interval_s, timeout_s=self.timeout_s,
        )  # fmt: skip


async def measure(target: targets.Target, workspace: targets.Workspace, plan: Plan) -> report.Round:
    """Measure one target once."""
    endpoint = load.Endpoint(target.port, workspace.key)
    root = target.process.pid
    stats = _engine_stats(workspace)
    before = processes.usage(root)
    plain = await load.plain_load(
        endpoint,
        requests=plan.requests,
        connections=plan.connections,
        tokens=plan.plain_tokens,
        timeout_s=plan.timeout_s,
    )
    between = processes.usage(root)
    streamed = await load.stream_load(
        endpoint,
        streams=plan.streams,
        repeats=plan.repeats,
        tokens=plan.stream_tokens,
        interval_s=plan.interval_s,
        timeout_s=plan.timeout_s,
    )
    after = processes.usage(root)
    return report.Round(
        plain_done=plain.done,
        plain_cpu_s=round(between.cpu_s - before.cpu_s, 2),
        plain_wall_s=plain.wall_s,
        streams_done=streamed.done,
        events=streamed.tokens,
        stream_cpu_s=round(after.cpu_s - between.cpu_s, 2),
        stream_wall_s=streamed.wall_s,
        ttft_ms=streamed.ttft_ms,
        rss_mb=after.rss_mb,
        failures=plain.failures
        + streamed.failures
        + _mismatches(stats, _engine_stats(workspace), plain.done + streamed.done),
    )


async def measure_all(
    running: Sequence[targets.Target], workspace: targets.Workspace, plan: Plan
) -> list[list[report.Round]]:
    """Measure every target in every round, each round starting with another one; return the rounds by target."""
    # An exception that a signal handler raises may surface inside the event loop itself, which swallows it.
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in a task
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    for target in running:
        await measure(target, workspace, plan.warm_up())
    rounds: list[list[report.Round]] = [[] for _ in running]
    for round_number in range(plan.rounds):
        for turn in range(len(running)):
            index = (round_number + turn) % len(running)
            rounds[index].append(await measure(running[index], workspace, plan))
            print(
                f"round {round_number + 1} of {plan.rounds}: {running[index].name} measured",
                file=sys.stderr,
                flush=True,
            )
    return rounds


def run(plan: Plan, names: Sequence[str], workers: Sequence[int], first_port: int) -> dict[str, Any]:
    """Start the targets, measure and stop them; return everything about the run."""
    load_before = os.getloadavg()[0]
    cpus = os.cpu_count() or 1
    if load_before > cpus / 2:
        print(f"the machine is busy (load {load_before:.1f}): times will be noisy", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as directory:
        workspace = targets.Workspace(Path(directory), first_port)
        workspace.directory.chmod(0o711)  # nginx's worker is another user when this runs as root
        running, missing = targets.start(workspace, names, workers)
        for name, reason in missing.items():
            print(f"{name} is left out: {reason}", file=sys.stderr, flush=True)
        try:
            rounds = uvloop.run(measure_all(running, workspace, plan))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not leave children behind
                signal.signal(number, signal.SIG_IGN)
            targets.stop(running)
    rows = [
        report.summarise(target.name, measured, rounds[0]) for target, measured in zip(running, rounds, strict=True)
    ]
    print(report.table(rows))
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": cpus,
            "load_before": load_before,
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {name: metadata.version(name) for name in LIBRARIES} | {"nginx": targets.nginx_version()},
        "plan": asdict(plan),
        "left_out": missing,
        "medians": {row.name: asdict(row) for row in rows},
        "rounds": {
            target.name: [round_.as_json() for round_ in measured]
            for target, measured in zip(running, rounds, strict=True)
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; 1 when a target failed requests or could not be measured."""
    defaults = Plan()
    parser = argparse.ArgumentParser(description="Measure gateways in front of a mock engine, side by side.")
    parser.add_argument(
        "--targets", default="nginx,gateway", help=f"of {','.join(targets.STARTERS)}; direct always runs"
    )
    parser.add_argument("--workers", default="1", help="gateway workers: 1,2 measures two gateways")
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--requests", type=int, default=defaults.requests, help="plain requests per round")
    parser.add_argument("--streams", type=int, default=defaults.streams, help="concurrent streams")
    parser.add_argument("--repeats", type=int, default=defaults.repeats, help="of each stream per round")
    parser.add_argument(
        "--first-port", type=int, default=18_200, help="uses up to 100 ports from this one, on 127.0.0.1"
    )
    parser.add_argument("--out", type=Path, help="write all results to this file, as JSON")
    given = parser.parse_args(arguments)
    names = [name for name in given.targets.split(",") if name not in {"", report.DIRECT}]
    if unknown := [name for name in names if name not in targets.STARTERS]:
        parser.error(f"unknown target {unknown[0]}")
    workers = [int(number) for number in given.workers.split(",")]
    if min(given.rounds, given.requests, given.streams, given.repeats, *workers) < 1:
        parser.error("rounds, requests, streams, repeats and workers start at 1")
    for number in (signal.SIGTERM, signal.SIGINT):  # SIGINT too: a shell starts background jobs with it ignored
        signal.signal(number, _interrupt)
    plan = Plan(rounds=given.rounds, requests=given.requests, streams=given.streams, repeats=given.repeats)
    results = run(plan, names, workers, given.first_port)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    failed = any(row["failures"] for row in results["medians"].values())
    return int(failed or bool(results["left_out"]))


def _engine_stats(workspace: targets.Workspace) -> dict[str, Any]:
    """Return the mock's own counters, once it is idle or after a moment.

    This blocks the event loop, which has nothing to do between two loads.
    """
    stats: dict[str, Any] = {}
    for _ in range(int(IDLE_TIMEOUT_S / child.POLL_S)):
        stats = orjson.loads(child.request(workspace.engine_port, "GET", "/mock")[1])
        if not stats["running"]:
            break
        time.sleep(child.POLL_S)
    return stats


def _mismatches(before: dict[str, Any], after: dict[str, Any], done: int) -> Counter[str]:
    """Compare what the clients received with what the engine sent: a gateway may not invent responses."""
    failures: Counter[str] = Counter()
    if gap := abs(after["finished"] - before["finished"] - done):
        failures["requests that clients and engine count differently"] = gap
    if after["running"]:
        failures["requests still running in the engine"] = after["running"]
    return failures


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat either signal as Ctrl-C, so that the children are stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure what a scrape of /metrics costs, idle and under load, and the share of telemetry in a request's CPU time.

    python benchmarks/scrape_overhead.py --rounds 5 --recycles 20

`README.md` beside this file explains what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: make its package importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import child, load, native_programs, processes, report, targets, telemetry_overhead
from benchmarks.load import Load
from benchmarks.targets.gateway import start_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS = 4
PERIOD_S = 5.0  # between two scrapes of this stack's Prometheus: `scrape_interval` in prometheus/
SCRAPE_SPEEDUP = 10  # times as many scrapes as in production, so that their cost can be measured
STREAMS, TOKENS, INTERVAL_S, REPEATS = 50, telemetry_overhead.STREAM_TOKENS, 0.02, 4
STREAM_LOAD = Load(
    STREAMS * REPEATS, STREAMS, TOKENS, stream=True, interval_s=INTERVAL_S, spread_s=TOKENS * INTERVAL_S, timeout_s=600
)
ENDLESS = replace(STREAM_LOAD, requests=1_000_000, timeout_s=100_000)  # until it is ended
PLAIN_LOAD = Load(5_000)
MICRO = 1_000_000
SCRAPES = 200
BETWEEN_S = 0.05
READY_S = 60.0
SETTLE_S = 3.0  # after the last recycle, when the new workers have polled their engine
OK = 200


@dataclass(slots=True)
class LoadPhase:
    """One phase of load.

    Args:
        cpu_s: CPU seconds of the gateway, master and workers, per 100,000 streamed events.
        wall_s: seconds that it took.
        scrapes: how many were made meanwhile.
        failures: reasons and how often each occurred.
    """

    cpu_s: float
    wall_s: float
    scrapes: int
    failures: Counter[str]


def measure_load_phase(gateway: targets.Target, workspace: targets.Workspace, *, scraped: bool) -> LoadPhase:
    """Measure a phase of load, scraped `SCRAPE_SPEEDUP` times as often as in production, or not at all."""
    stopped, scrapes = threading.Event(), 0

    def scrape() -> None:
        nonlocal scrapes
        while not stopped.wait(PERIOD_S / SCRAPE_SPEEDUP):
            scrape_once(gateway)
            scrapes += 1

    thread = threading.Thread(target=scrape)
    before = processes.usage(gateway.process.pid)
    if scraped:
        thread.start()
    outcome = load.run(workspace.programs.load_generator, gateway.endpoint, STREAM_LOAD)
    stopped.set()
    if scraped:
        thread.join()
    cpu_s = processes.usage(gateway.process.pid).cpu_s - before.cpu_s
    return LoadPhase(100_000 * cpu_s / max(outcome.tokens, 1), outcome.wall_s, scrapes, outcome.failures)


def scrape_once(gateway: targets.Target) -> tuple[float, bytes]:
    """Scrape as Prometheus does; return the milliseconds that it took, and the exposition."""
    started_at = time.perf_counter()
    status, exposition = child.request(gateway.metrics_port, "GET", "/metrics")
    took = 1_000 * (time.perf_counter() - started_at)
    if status != OK or b"gateway_requests_started_total" not in exposition:
        raise RuntimeError(f"/metrics returned {status}: {exposition[:200]!r}")
    return took, exposition


@contextmanager
def background_load(gateway: targets.Target, workspace: targets.Workspace) -> Iterator[None]:
    """Run load until the end; the load generator, a process of its own, delays nothing that is timed in this one."""
    process = load.start(workspace.programs.load_generator, gateway.endpoint, ENDLESS)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def recycle(gateway: targets.Target) -> None:
    """Replace all workers once.

    Raises:
        TimeoutError: they are not replaced in time.
    """
    old = workers(gateway)
    gateway.process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + READY_S
    while len(now := workers(gateway)) != WORKERS or now & old or _up(gateway) != WORKERS:
        if time.monotonic() > deadline:
            raise TimeoutError("the workers are not replaced")
        time.sleep(child.POLL_S)


def _up(gateway: targets.Target) -> float:
    lines = scrape_once(gateway)[1].splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(b"gateway_worker_up "))


def workers(gateway: targets.Target) -> set[int]:
    """Return the pids of the gateway's workers."""
    return {process.pid for process in processes.tree(gateway.process.pid)} - {gateway.process.pid}


def master_cpu_s(gateway: targets.Target) -> float:
    """Return the CPU seconds of gunicorn's master, whose thread serves scrapes, without those of its workers."""
    return processes.own_cpu_s(gateway.process.pid)


@dataclass(slots=True)
class ScrapeTimings:
    """The timings of many scrapes.

    Args:
        times: milliseconds of each.
        delays: milliseconds by which each pause between two was late: how long this machine makes a process wait.
        cpu_ms: CPU milliseconds of one.
        exposition: the last one.
    """

    times: list[float]
    delays: list[float]
    cpu_ms: float
    exposition: bytes

    def row(self, name: str) -> str:
        """Return its row of the table."""
        series = sum(1 for line in self.exposition.splitlines() if not line.startswith(b"#"))
        share = f"{100 * self.cpu_ms / 1_000 / PERIOD_S:.2f} %"
        p50, p99 = (report.percentile(self.times, percent) for percent in (50, 99))
        noise = report.percentile(self.delays, 99)
        return f"| {name} | {series} | {self.cpu_ms:.1f} | {share} | {p50:.1f} | {p99:.1f} | {noise:.1f} |"


HEADINGS = ("/metrics", "series", "CPU ms per scrape", "at one in 5 s", "p50 ms", "p99 ms", "scheduling delay, p99 ms")


def time_scrapes(gateway: targets.Target) -> ScrapeTimings:
    """Scrape many times, with short pauses."""
    before = master_cpu_s(gateway)
    times, delays, exposition = [], [], b""
    for _ in range(SCRAPES):
        took, exposition = scrape_once(gateway)
        times.append(took)
        started_at = time.perf_counter()
        time.sleep(BETWEEN_S)
        delays.append(1_000 * (time.perf_counter() - started_at - BETWEEN_S))
    return ScrapeTimings(times, delays, 1_000 * (master_cpu_s(gateway) - before) / SCRAPES, exposition)


def run(workspace: targets.Workspace, rounds: int, recycles: int) -> Counter[str]:
    """Measure and print; return the failures."""
    engine = targets.Engine.start(workspace)
    running = [engine.target]
    try:
        gateway = start_gateway(workspace, WORKERS)
        running.append(gateway)
        engine.pace(STREAM_LOAD)
        measure_load_phase(gateway, workspace, scraped=True)  # warm-up, discarded
        rows = [time_scrapes(gateway).row("fresh, idle")]
        phases: dict[bool, list[LoadPhase]] = {False: [], True: []}
        for number in range(rounds):
            for scraped in (False, True) if number % 2 else (True, False):
                phases[scraped].append(measure_load_phase(gateway, workspace, scraped=scraped))
        engine.pace(PLAIN_LOAD)
        plain_us = _plain_us(gateway, workspace)
        engine.pace(STREAM_LOAD)
        with background_load(gateway, workspace):
            rows.append(time_scrapes(gateway).row("fresh, under load"))
            for _ in range(recycles):
                recycle(gateway)
            time.sleep(SETTLE_S)
            rows.append(time_scrapes(gateway).row(f"{recycles} recycles, under load"))
    finally:
        targets.stop(running)
    print(f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|", sep="\n")
    print("\n".join(rows))
    own_us = telemetry_overhead.measure(workspace.directory / "telemetry")
    print(f"\n{_compare(phases)}\n{_share(plain_us, phases[False], *own_us)}")
    return sum((phase.failures for measured in phases.values() for phase in measured), Counter())


def _compare(phases: dict[bool, list[LoadPhase]]) -> str:
    """Return the line that compares load with and without scrapes."""
    without, scraped = (statistics.median(phase.cpu_s for phase in phases[key]) for key in (False, True))
    period = statistics.median(phase.wall_s / max(phase.scrapes, 1) for phase in phases[True])
    return (
        f"CPU-s per 100k streamed events: {without:.2f} without scrapes, {scraped:.2f} with one every {period:.2f} s "
        f"({100 * (scraped / without - 1):+.1f} %; medians of {len(phases[True])})"
    )


def _plain_us(gateway: targets.Target, workspace: targets.Workspace) -> float:
    """Return the CPU microseconds that a plain request costs the gateway."""
    before = processes.usage(gateway.process.pid).cpu_s
    done = load.run(workspace.programs.load_generator, gateway.endpoint, PLAIN_LOAD).done
    return MICRO * (processes.usage(gateway.process.pid).cpu_s - before) / max(done, 1)


def _share(plain_us: float, phases: Sequence[LoadPhase], plain: float, stream: float) -> str:
    """Return the lines about the share of metrics and logs in the cost of a request."""
    stream_us = MICRO * statistics.median(phase.cpu_s for phase in phases) / 100_000 * TOKENS
    return "\n".join(
        f"metrics and log of a {name}: {own:.0f} of {whole:.0f} µs CPU, {100 * own / whole:.0f} %"
        for name, own, whole in (("plain request", plain, plain_us), (f"stream of {TOKENS} tokens", stream, stream_us))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; 1 when the load failed."""
    parser = argparse.ArgumentParser(description="Measure what scrapes, metrics and logs cost the gateway.")
    parser.add_argument("--rounds", type=int, default=5, help="phases of load with scrapes, and as many without")
    parser.add_argument("--recycles", type=int, default=20, help="of all workers, before scrapes are timed again")
    parser.add_argument(
        "--first-port", type=int, default=18_300, help="uses up to 100 ports from this one, on 127.0.0.1"
    )
    given = parser.parse_args(arguments)
    if (busy := os.getloadavg()[0]) > (os.cpu_count() or 1) / 2:
        print(f"the machine is busy (load {busy:.1f}): times will be noisy", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-", dir="/dev/shm") as directory:
        workspace = targets.Workspace(Path(directory), given.first_port, native_programs.build())
        failures = run(workspace, given.rounds, given.recycles)
    for reason, count in failures.items():
        print(f"failed: {count} times {reason}")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())

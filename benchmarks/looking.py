"""Measure what looking costs: a scrape of /metrics, idle and loaded, and the share of a request that counting takes.

    python benchmarks/looking.py --rounds 5 --recycles 20

`README.md` beside this file tells what is measured and how to read it. Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run as a file: let it find its own package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop

from benchmarks import child, figures, load, processes, recording, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS = 4
PERIOD_S = 5.0  # between two scrapes of this stack's Prometheus: `scrape_interval` in prometheus/
HURRY = 10  # so much more often than that is scraped here, to see anything at all
STREAMS, TOKENS, INTERVAL_S, REPEATS = 50, recording.STREAM_TOKENS, 0.02, 4
PLAIN = 5_000  # requests
MICRO = 1_000_000
SCRAPES = 200
BETWEEN_S = 0.05
READY_S = 60.0
SETTLE_S = 3.0  # behind the last recycle, when the new workers have looked at their engine
OK = 200


@dataclass(slots=True)
class Slice:
    """One stretch of load.

    Args:
        cpu_s: CPU seconds of the gateway, master and workers, by 100,000 streamed events.
        wall_s: how long it took.
        scrapes: meanwhile.
        failures: what went wrong.
    """

    cpu_s: float
    wall_s: float
    scrapes: int
    failures: Counter[str]


def streams(port: int, key: str, repeats: int) -> load.Outcome:
    """Run the load in this process."""
    door = load.Door(port, key)
    return uvloop.run(
        load.stream_load(
            door, streams=STREAMS, repeats=repeats, tokens=TOKENS, interval_s=INTERVAL_S, timeout_s=READY_S * 10
        )
    )


def one_slice(gateway: targets.Target, place: targets.Place, *, scraped: bool) -> Slice:
    """Measure a stretch of load, scraped `HURRY` times as often as in service, or not at all."""
    stopped, scrapes = threading.Event(), 0

    def scrape() -> None:
        nonlocal scrapes
        while not stopped.wait(PERIOD_S / HURRY):
            scrape_once(gateway)
            scrapes += 1

    thread = threading.Thread(target=scrape)
    before = processes.usage(gateway.process.pid)
    if scraped:
        thread.start()
    outcome = streams(gateway.port, place.key, REPEATS)
    stopped.set()
    if scraped:
        thread.join()
    cpu_s = processes.usage(gateway.process.pid).cpu_s - before.cpu_s
    return Slice(100_000 * cpu_s / max(outcome.tokens, 1), outcome.wall_s, scrapes, outcome.failures)


def scrape_once(gateway: targets.Target) -> tuple[float, bytes]:
    """Scrape as Prometheus does; return the milliseconds that it took, and the page."""
    begun = time.perf_counter()
    status, page = child.request(gateway.metrics_port, "GET", "/metrics")
    took = 1_000 * (time.perf_counter() - begun)
    if status != OK or b"gateway_requests_started_total" not in page:
        raise RuntimeError(f"/metrics answered {status}: {page[:200]!r}")
    return took, page


@contextmanager
def loaded(gateway: targets.Target, place: targets.Place) -> Iterator[None]:
    """Load from another process, so that it delays nothing that is timed in this one, again and again until the end."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_keep_streaming, args=(gateway.port, place.key, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()


def _keep_streaming(port: int, key: str, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while not stop.is_set():
        streams(port, key, 1)


def recycle(gateway: targets.Target) -> None:
    """Replace all workers once.

    Raises:
        TimeoutError: they are not.
    """
    old = workers(gateway)
    gateway.process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + READY_S
    while len(now := workers(gateway)) != WORKERS or now & old or _up(gateway) != WORKERS:
        if time.monotonic() > deadline:
            raise TimeoutError("the workers are not replaced")
        child.pause()


def _up(gateway: targets.Target) -> float:
    lines = scrape_once(gateway)[1].splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(b"gateway_worker_up "))


def workers(gateway: targets.Target) -> set[int]:
    """Return the pids of the gateway's workers."""
    return set(processes.tree(gateway.process.pid)) - {gateway.process.pid}


def master_cpu_s(gateway: targets.Target) -> float:
    """Return what gunicorn's master, whose thread answers scrapes, has used itself: without its ended workers."""
    fields = (processes.PROC / str(gateway.process.pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / processes.TICKS_PER_S


@dataclass(slots=True)
class Page:
    """What many scrapes came to.

    Args:
        times: milliseconds of each.
        late: by how many each pause between two took too long: how long this machine lets anybody wait for a core.
        cpu_ms: of one.
        text: the last page.
    """

    times: list[float]
    late: list[float]
    cpu_ms: float
    text: bytes

    def row(self, name: str) -> str:
        """Return the line about it."""
        series = sum(1 for line in self.text.splitlines() if not line.startswith(b"#"))
        share = f"{100 * self.cpu_ms / 1_000 / PERIOD_S:.2f} %"
        p50, p99 = (figures.percentile(self.times, percent) for percent in (50, 99))
        noise = figures.percentile(self.late, 99)
        return f"| {name} | {series} | {self.cpu_ms:.1f} | {share} | {p50:.1f} | {p99:.1f} | {noise:.1f} |"


HEADINGS = ("/metrics", "series", "CPU ms a scrape", "at one in 5 s", "p50 ms", "p99 ms", "a pause late, p99 ms")


def scrape_often(gateway: targets.Target) -> Page:
    """Scrape with short pauses."""
    before = master_cpu_s(gateway)
    times, late, text = [], [], b""
    for _ in range(SCRAPES):
        took, text = scrape_once(gateway)
        times.append(took)
        begun = time.perf_counter()
        time.sleep(BETWEEN_S)
        late.append(1_000 * (time.perf_counter() - begun - BETWEEN_S))
    return Page(times, late, 1_000 * (master_cpu_s(gateway) - before) / SCRAPES, text)


def run(place: targets.Place, rounds: int, recycles: int) -> Counter[str]:
    """Measure, and print as it comes; return what went wrong."""
    mock = targets.start_mock(place)
    running = [mock]
    try:
        gateway = targets.start_gateway(place, WORKERS)
        running.append(gateway)
        one_slice(gateway, place, scraped=True)  # thrown away
        pages = [scrape_often(gateway).row("fresh, idle")]
        slices: dict[bool, list[Slice]] = {False: [], True: []}
        for number in range(rounds):
            for scraped in (False, True) if number % 2 else (True, False):
                slices[scraped].append(one_slice(gateway, place, scraped=scraped))
        plain_us = _plain_us(gateway, place)
        with loaded(gateway, place):
            pages.append(scrape_often(gateway).row("fresh, under load"))
            for _ in range(recycles):
                recycle(gateway)
            time.sleep(SETTLE_S)
            pages.append(scrape_often(gateway).row(f"{recycles} recycles, under load"))
    finally:
        targets.stop(running)
    print(f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|", sep="\n")
    print("\n".join(pages))
    print(
        f"\n{_compared(slices)}\n{_share(plain_us, slices[False], *recording.measure(place.directory / 'recording'))}"
    )
    return sum((one.failures for both in slices.values() for one in both), Counter())


def _compared(slices: dict[bool, list[Slice]]) -> str:
    """Return the comparison of load with and without scrapes."""
    without, scraped = (statistics.median(one.cpu_s for one in slices[how]) for how in (False, True))
    often = statistics.median(one.wall_s / max(one.scrapes, 1) for one in slices[True])
    return (
        f"CPU-s per 100k streamed events: {without:.2f} without scrapes, {scraped:.2f} with one every {often:.2f} s "
        f"({100 * (scraped / without - 1):+.1f} %; medians of {len(slices[True])})"
    )


def _plain_us(gateway: targets.Target, place: targets.Place) -> float:
    """Return the CPU microseconds that a plain request takes in the gateway."""
    before = processes.usage(gateway.process.pid).cpu_s
    door = load.Door(gateway.port, place.key)
    done = uvloop.run(load.plain_load(door, requests=PLAIN, connections=32, tokens=16, timeout_s=READY_S * 10)).done
    return MICRO * (processes.usage(gateway.process.pid).cpu_s - before) / max(done, 1)


def _share(plain_us: float, slices: Sequence[Slice], plain: float, stream: float) -> str:
    """Return the lines about the share of a request that counting and logging takes."""
    stream_us = MICRO * statistics.median(one.cpu_s for one in slices) / 100_000 * TOKENS
    return "\n".join(
        f"counting and logging a {name}: {own:.0f} of {whole:.0f} µs CPU, {100 * own / whole:.0f} %"
        for name, own, whole in (("plain request", plain, plain_us), (f"stream of {TOKENS} tokens", stream, stream_us))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; 1 when the load failed."""
    parser = argparse.ArgumentParser(description="Measure what scraping and counting cost the gateway.")
    parser.add_argument("--rounds", type=int, default=5, help="stretches of load with scrapes, and as many without")
    parser.add_argument("--recycles", type=int, default=20, help="of all workers, before the page is timed again")
    parser.add_argument("--first-port", type=int, default=18_300, help="uses up to 100 from here, on 127.0.0.1")
    given = parser.parse_args(arguments)
    if (busy := os.getloadavg()[0]) > (os.cpu_count() or 1) / 2:
        print(f"others use this machine (load {busy:.1f}): times will be noisy", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="glasshouse-looking-", dir="/dev/shm") as directory:
        failures = run(targets.Place(Path(directory), given.first_port), given.rounds, given.recycles)
    for reason, count in failures.items():
        print(f"failed: {count} times {reason}")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())

"""Turns the results of a run into figures and Markdown tables: medians over the rounds, and their spread."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import plan
from benchmarks.targets.engine import DIRECT

Results = Mapping[str, Any]
"""As `run.py` writes it."""
Sample = Mapping[str, Any]
"""A `measure.Sample` as JSON."""
Reader = Callable[[Sample], float | None]

LABELS = {
    DIRECT: "(the mock engine itself)",
    "gateway-1": "**Glasshouse**, 1 worker",
    "gateway-2": "**Glasshouse**, 2 workers",
}
NOTHING = "-"
THOUSAND, HUNDRED_THOUSAND = 1_000, 100_000


class Figure(NamedTuple):
    """A figure of several rounds: the median, the least and the most."""

    median: float
    low: float
    high: float


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile, interpolated linearly between neighbours as in numpy; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def figure(values: Sequence[float | None]) -> Figure | None:
    """Return the figure of these rounds; None where no round has a value."""
    known = [value for value in values if value is not None]
    return Figure(statistics.median(known), min(known), max(known)) if known else None


def cpu_per_request(sample: Sample) -> float | None:
    """Return CPU seconds per 1,000 requests; None where none succeeded."""
    return THOUSAND * sample["cpu_s"] / sample["done"] if sample["done"] else None


def cpu_per_event(sample: Sample) -> float | None:
    """Return CPU seconds per 100,000 streamed events; None where none arrived."""
    return HUNDRED_THOUSAND * sample["cpu_s"] / sample["tokens"] if sample["tokens"] else None


def requests_per_second(sample: Sample) -> float | None:
    """Return correct answers per second; None where there was none."""
    return sample["done"] / sample["wall_s"] if sample["done"] else None


def events_per_second(sample: Sample) -> float | None:
    """Return streamed events per second; None where there was none."""
    return sample["tokens"] / sample["wall_s"] if sample["tokens"] else None


def time_of(kind: str, percent: str) -> Reader:
    """Return what reads a percentile of `total_ms`, `ttft_ms` or `gap_ms`."""

    def read(sample: Sample) -> float | None:
        timing = sample[kind]
        return None if timing is None else float(timing[percent])

    return read


def over_rounds(results: Results, target: str, scenario: str, read: Reader) -> Figure | None:
    """Return a figure of a target; None where it was not measured."""
    return figure([read(sample) for sample in _samples(results, target, scenario)])


def added(results: Results, target: str, scenario: str, kind: str, percent: str) -> Figure | None:
    """Return by how much a target lengthens a time, in milliseconds.

    It is compared with the engine itself in the same round, so that a slow minute of the machine affects both.
    """
    read = time_of(kind, percent)
    pairs = zip(_samples(results, target, scenario), _samples(results, DIRECT, scenario), strict=True)
    times = [(read(sample), read(direct)) for sample, direct in pairs]
    return figure([None if mine is None or base is None else mine - base for mine, base in times])


def memory_mb(results: Results, target: str) -> float:
    """Return the most resident memory after any load, in megabytes."""
    rounds = (sample["rss_mb"] for samples in results["targets"][target]["samples"].values() for sample in samples)
    return float(max(rounds, default=results["targets"][target]["idle_rss_mb"]))


def failures(results: Results) -> dict[str, Counter[str]]:
    """Return by target the reasons of failures, and how often each occurred; only of those that have any."""
    found: dict[str, Counter[str]] = {}
    for name, target in results["targets"].items():
        for scenario, samples in target["samples"].items():
            for sample in samples:
                for reason, count in sample["failures"].items():
                    found.setdefault(name, Counter())[f"{scenario}: {reason}"] += count
    return found


def tables(results: Results) -> str:
    """Return all tables, and below them the failures and what was left out."""
    failed = failures(results)
    parts = [costs(results), latencies(results), throughput(results), prompts(results)]
    lines = [
        f"- {name} failed: {count} times {reason}" for name in failed for reason, count in failed[name].most_common()
    ]
    lines += [f"- {name} is left out: {reason}" for name, reason in results["left_out"].items()]
    return "\n\n".join([*parts, "\n".join(lines)] if lines else parts) + "\n"


def costs(results: Results) -> str:
    """Return the table of what each target costs."""
    heads = (
        "gateway", "does for each request", "CPU-s per 1,000 plain requests, 32 / 128 connections",
        "CPU-s per 100k paced events", "CPU-s per 100k events flat out", "memory MB, idle / loaded", "start s",
    )  # fmt: skip
    rows = []
    for name, target in results["targets"].items():
        plain = (over_rounds(results, name, plan.plain(number), cpu_per_request) for number in (32, 128))
        starts = figure(target["starts_s"])
        rows.append([
            label(results, name), target["does"], " / ".join(show(cost) for cost in plain),
            show(over_rounds(results, name, plan.PACED, cpu_per_event)),
            show(over_rounds(results, name, plan.FLAT_OUT, cpu_per_event)),
            f"{target['idle_rss_mb']:.0f} / {memory_mb(results, name):.0f}", show(starts),
        ])  # fmt: skip
    return _table(heads, rows)


def latencies(results: Results) -> str:
    """Return the table of what each target adds to the time of a stream and of a plain request."""
    heads = (
        "gateway", "added TTFT p50 / p99 ms", "gap between paced events, p99 ms",
        "added total, 1 connection, p50 / p99 ms", "total, 128 connections, p50 / p99 ms",
        "events/s flat out",
    )  # fmt: skip
    rows = []
    for name in results["targets"]:
        ttft = [added(results, name, plan.PACED, "ttft_ms", percent) for percent in ("p50", "p99")]
        alone = [added(results, name, plan.plain(1), "total_ms", percent) for percent in ("p50", "p99")]
        many = [over_rounds(results, name, plan.plain(128), time_of("total_ms", percent)) for percent in ("p50", "p99")]
        rows.append([
            label(results, name), _pair(ttft if name != DIRECT else []),
            show(over_rounds(results, name, plan.PACED, time_of("gap_ms", "p99"))),
            _pair(alone if name != DIRECT else []), _pair(many),
            show(over_rounds(results, name, plan.FLAT_OUT, events_per_second)),
        ])  # fmt: skip
    return _table(heads, rows)


def throughput(results: Results) -> str:
    """Return the table of requests per second by the number of connections."""
    heads = ("gateway", *(f"requests/s, {number} connections" for number in plan.CONNECTIONS))
    return _table(heads, [
        [
            label(results, name),
            *(show(over_rounds(results, name, plan.plain(number), requests_per_second)) for number in plan.CONNECTIONS),
        ]
        for name in results["targets"]
    ])  # fmt: skip


def prompts(results: Results) -> str:
    """Return the table of what the size of a prompt costs, over 32 connections."""
    heads = (
        "gateway",
        *(f"CPU-s per 1,000, {size} kB" for size in plan.PROMPTS_KB),
        *(f"total p50 / p99 ms, {size} kB" for size in plan.PROMPTS_KB),
    )
    rows = []
    for name in results["targets"]:
        scenarios = [plan.prompt(size) for size in plan.PROMPTS_KB]
        times = [
            [over_rounds(results, name, scenario, time_of("total_ms", percent)) for percent in ("p50", "p99")]
            for scenario in scenarios
        ]
        cpu = [show(over_rounds(results, name, scenario, cpu_per_request)) for scenario in scenarios]
        rows.append([label(results, name), *cpu, *map(_pair, times)])
    return _table(heads, rows)


def label(results: Results, name: str) -> str:
    """Return a target's name for a table, with its version."""
    version = results["targets"][name]["version"]
    return LABELS.get(name) or (f"{name} {version.rpartition('/')[2]}" if version else name)


def show(value: Figure | None) -> str:
    """Return a median to three figures, and behind it the range of the rounds where there are several."""
    if value is None:
        return NOTHING
    if value.low == value.high:
        return number(value.median)
    return f"{number(value.median)} ({number(value.low)} to {number(value.high)})"


def number(value: float) -> str:
    """Return a number to three significant figures, with separators and without an exponent."""
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(places, 0)}f}"


def _pair(values: Sequence[Figure | None]) -> str:
    return " / ".join(NOTHING if value is None else number(value.median) for value in values) or NOTHING


def _samples(results: Results, target: str, scenario: str) -> Sequence[Sample]:
    found: Sequence[Sample] = results["targets"][target]["samples"].get(scenario, ())
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

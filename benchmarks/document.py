"""Writes docs/benchmarks.md and its charts from the results of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import charts, report

if TYPE_CHECKING:
    from benchmarks.report import Results

DOCS = Path(__file__).resolve().parents[1] / "docs"
BUSY = """

**The machine was busy with other programs: CPU times are too high, those of large programs more than others, and
latencies are mostly waits for a core.**"""
PAGE = """\
# Benchmarks

Gateways in front of one mock engine, measured in turn in one run. `make bench` writes this page;
[benchmarks](../benchmarks/README.md) says what is measured, and how to read it.

`{command}`, {when}, {cpus} CPUs, load {load:.1f} before the run, Python {python}; rounds: {rounds}, starts of
each: {starts}. Figures are medians over the rounds, with the least and the most in brackets. CPU is the gateway's own,
summed over its processes. Compare figures of one run only: on another machine all of them differ.{busy}

![CPU seconds per plain request and per streamed event](pictures/benchmarks/cost.svg)

## What it costs

{costs}

A plain request is a chat of 16 tokens without a stream. Paced events are those of {streams} streams of {tokens} tokens,
{interval:.0f} ms apart, so that each read has one event, as with a real engine. What a gateway does for each request
beside relaying it is as it was started here: routers and proxies without keys and usage do less work. A start takes
until the first answered chat.

## What it adds

{latencies}

## Requests per second

{throughput}

Load generator, engine and gateway share the cores, so this is of all three.

## Long prompts

![99th percentile with prompts of 100 kB](pictures/benchmarks/prompts.svg)

{prompts}

## Cold start

![Seconds from the start to the first answer](pictures/benchmarks/start.svg)

## Failures

{failures}
"""


def page(results: Results) -> str:
    """Return the page in Markdown."""
    given = results["plan"]
    paced = given["loads"].get("streams, paced") or {"connections": 0, "tokens": 0, "interval_s": 0}
    failed = report.failures(results)
    lines = [f"- {name}: {count} times {reason}" for name in failed for reason, count in failed[name].most_common()]
    lines += [f"- {name} is left out: {reason}" for name, reason in results["left_out"].items()]
    return PAGE.format(
        command=results["command"],
        busy=BUSY if results["machine"]["load_before"] > results["machine"]["cpus"] / 2 else "",
        when=results["when"][:10],
        cpus=results["machine"]["cpus"],
        load=results["machine"]["load_before"],
        python=results["machine"]["python"],
        rounds=given["rounds"],
        starts=given["starts"],
        streams=paced["connections"],
        tokens=paced["tokens"],
        interval=1_000 * paced["interval_s"],
        costs=report.costs(results),
        latencies=report.latencies(results),
        throughput=report.throughput(results),
        prompts=report.prompts(results),
        failures="\n".join(lines) or "Every answer of every gateway was complete and correct.",
    )


def publish(results: Results, docs: Path = DOCS) -> None:
    """Write the page and its charts."""
    pictures = docs / "pictures" / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    (docs / "benchmarks.md").write_text(page(results), encoding="utf-8")
    for name, drawn in charts.charts(results).items():
        (pictures / name).write_text(drawn + "\n", encoding="utf-8")

"""Draws the charts of a run as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pygal
from pygal.style import Style

from benchmarks import plan, report
from benchmarks.targets.engine import DIRECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element  # a type only: nothing is parsed

    from benchmarks.report import Figure, Results

COLORS = ("#1f6feb", "#e8710a")
ROW_PX, FRAME_PX, WIDTH_PX = 46, 150, 900


def charts(results: Results) -> dict[str, str]:
    """Return SVG by the name of the file."""
    names = [name for name in results["targets"] if name != DIRECT]

    def of(scenario: str, read: report.Reader) -> list[Figure | None]:
        return [report.over_rounds(results, name, scenario, read) for name in names]

    labels = [report.label(results, name).replace("**", "") for name in names]
    starts = [report.figure(results["targets"][name]["starts_s"]) for name in names]
    return {
        "cost.svg": _bars(
            "CPU seconds of the gateway (logarithmic)",
            labels,
            {
                "per 1,000 plain requests": of(plan.plain(32), report.cpu_per_request),
                "per 100,000 streamed events": of(plan.PACED, report.cpu_per_event),
            },
        ),
        "prompts.svg": _bars(
            "p99 of a plain request with a prompt of 100 kB, milliseconds, 32 connections (logarithmic)",
            labels,
            {"p99 ms": of(plan.prompt(100), report.time_of("total_ms", "p99"))},
        ),
        "start.svg": _bars("Start to first answer, seconds (logarithmic)", labels, {"seconds": starts}),
    }


def _bars(title: str, labels: Sequence[str], series: Mapping[str, Sequence[Figure | None]]) -> str:
    """Draw horizontal bars, the first label at the top."""
    chart = pygal.HorizontalBar(
        style=Style(
            background="white", plot_background="white", colors=COLORS, font_family="sans-serif", opacity="1",
            title_font_size=16, label_font_size=13, value_font_size=12, legend_font_size=13,
        ),
        js=[], disable_xml_declaration=True, no_prefix=True, logarithmic=True, print_values=True,
        print_values_position="top", legend_at_bottom=True, show_legend=len(series) > 1, width=WIDTH_PX,
        height=FRAME_PX + ROW_PX * len(labels), value_formatter=lambda value: report.number(value) if value else "",
    )  # fmt: skip
    chart.add_xml_filter(_without_scripts)
    chart.title = title
    chart.x_labels = list(reversed(labels))
    values = [figure.median for row in series.values() for figure in row if figure is not None]
    if values:
        chart.y_labels = _decades(min(values), max(values))
        chart.zero, chart.range = chart.y_labels[0], (chart.y_labels[0], chart.y_labels[-1])
    for name, row in series.items():
        chart.add(name, [None if figure is None else figure.median for figure in reversed(row)])
    drawn: str = chart.render(is_unicode=True)
    return drawn


def _decades(low: float, high: float) -> list[float]:
    """Return the powers of ten that enclose all values: a bar begins at the first."""
    first, last = math.ceil(math.log10(low)) - 1, math.floor(math.log10(high)) + 1
    return [10.0**exponent for exponent in range(first, last + 1)]


def _without_scripts(root: Element) -> Element:
    """Remove the configuration of pygal's own scripts, which are not there."""
    for parent in list(root.iter()):
        for script in [child for child in parent if str(child.tag).rpartition("}")[2] == "script"]:
            parent.remove(script)
    return root

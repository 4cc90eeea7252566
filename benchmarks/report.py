"""Turns measured rounds into the report: percentiles, medians, the table."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECT = "direct"
HEADINGS = (
    "target",
    "CPU-s per 1,000 requests",
    "CPU-s per 100k streamed events",
    "added TTFT p50 / p99 ms",
    "RSS MB",
    "failures",
)


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement of one target.

    Args:
        plain_done: plain requests with a correct response.
        plain_cpu_s: CPU seconds of the target's processes meanwhile.
        plain_wall_s: seconds that they took.
        streams_done: complete and correct streams.
        events: token events in them.
        stream_cpu_s: CPU seconds of the target's processes meanwhile.
        stream_wall_s: seconds that they took.
        ttft_ms: milliseconds from sending a request to its first event, one for each complete stream.
        rss_mb: resident memory of the target's processes at the end.
        failures: reasons and how often each occurred.
    """

    plain_done: int
    plain_cpu_s: float
    plain_wall_s: float
    streams_done: int
    events: int
    stream_cpu_s: float
    stream_wall_s: float
    ttft_ms: Sequence[float]
    rss_mb: float
    failures: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return the round for the results file, with percentiles instead of the individual times."""
        return {
            "plain": {"done": self.plain_done, "cpu_s": self.plain_cpu_s, "wall_s": self.plain_wall_s},
            "streams": {
                "done": self.streams_done,
                "token_events": self.events,
                "cpu_s": self.stream_cpu_s,
                "wall_s": self.stream_wall_s,
                "ttft_p50_ms": percentile(self.ttft_ms, 50),
                "ttft_p99_ms": percentile(self.ttft_ms, 99),
            },
            "rss_mb": self.rss_mb,
            "failures": dict(self.failures),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """The reported figures of one target: medians over its rounds, None where nothing was measured.

    Args:
        name: of the target.
        cpu_s_per_1000: CPU seconds per 1,000 plain requests.
        cpu_s_per_100k: CPU seconds per 100,000 token events.
        added_p50_ms: median over the rounds of the median TTFT minus that of the mock itself in the same round.
        added_p99_ms: the same for the 99th percentile.
        rss_mb: the largest of all rounds.
        failures: of all rounds.
    """

    name: str
    cpu_s_per_1000: float | None
    cpu_s_per_100k: float | None
    added_p50_ms: float | None
    added_p99_ms: float | None
    rss_mb: float | None
    failures: Counter[str]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile, interpolated linearly between neighbours as in numpy; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summarise(name: str, rounds: Sequence[Round], direct: Sequence[Round]) -> Row:
    """Return a target's row; `direct` are the mock's own rounds in the same order."""
    return Row(
        name=name,
        cpu_s_per_1000=_median(
            [1_000 * round_.plain_cpu_s / round_.plain_done for round_ in rounds if round_.plain_done]
        ),
        cpu_s_per_100k=_median([100_000 * round_.stream_cpu_s / round_.events for round_ in rounds if round_.events]),
        added_p50_ms=_added(rounds, direct, 50) if name != DIRECT else None,
        added_p99_ms=_added(rounds, direct, 99) if name != DIRECT else None,
        rss_mb=max((round_.rss_mb for round_ in rounds), default=None),
        failures=sum((round_.failures for round_ in rounds), Counter()),
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, with the failures beside the figures that they spoil."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    for row in rows:
        added = "-" if row.name == DIRECT else f"{_show(row.added_p50_ms, 2)} / {_show(row.added_p99_ms, 2)}"
        failures = sum(row.failures.values())
        cells = [
            "direct (the mock itself)" if row.name == DIRECT else row.name,
            _show(row.cpu_s_per_1000, 3),
            _show(row.cpu_s_per_100k, 2),
            added,
            _show(row.rss_mb, 0),
            f"**{failures}**" if failures else "0",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for row in rows:
        lines += [f"\n{row.name} failed: {count} times {reason}" for reason, count in row.failures.most_common()]
    return "\n".join(lines)


def _added(rounds: Sequence[Round], direct: Sequence[Round], percent: float) -> float | None:
    """Compare round by round, so that a slow minute of the machine affects both."""
    differences = []
    for round_, baseline in zip(rounds, direct, strict=True):
        measured, base = percentile(round_.ttft_ms, percent), percentile(baseline.ttft_ms, percent)
        if measured is not None and base is not None:
            differences.append(measured - base)
    return _median(differences)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _show(value: float | None, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"

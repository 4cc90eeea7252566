"""From measured rounds to reported figures: percentiles, medians, the table."""

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
        plain_done: plain requests that were answered well.
        plain_cpu_s: CPU seconds of the target's processes meanwhile.
        plain_wall_s: how long it took.
        streams_done: streams that came complete and right.
        events: token events in them.
        stream_cpu_s: CPU seconds of the target's processes meanwhile.
        stream_wall_s: how long it took.
        ttft_ms: milliseconds from sending a request to its first event, one per complete stream.
        rss_mb: resident memory of the target's processes at the end.
        failures: what went wrong, with how often.
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
        """Return the round for the results file; the single times are left out, their percentiles kept."""
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
    """What is reported of one target: medians over its rounds, nothing where nothing was measured.

    Args:
        name: of the target.
        cpu_s_per_1000: CPU seconds per 1,000 plain requests.
        cpu_s_per_100k: CPU seconds per 100,000 token events.
        added_p50_ms: median of the TTFT's median less that of the mock itself in the same round.
        added_p99_ms: the same for the 99th percentile.
        rss_mb: the largest that was seen.
        failures: all that went wrong in all rounds.
    """

    name: str
    cpu_s_per_1000: float | None
    cpu_s_per_100k: float | None
    added_p50_ms: float | None
    added_p99_ms: float | None
    rss_mb: float | None
    failures: Counter[str]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile, interpolated linearly between neighbours as numpy does it; nothing of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summarise(name: str, rounds: Sequence[Round], direct: Sequence[Round]) -> Row:
    """Return a target's row; `direct` has the mock's own rounds in the same order."""
    return Row(
        name=name,
        cpu_s_per_1000=_median([1_000 * one.plain_cpu_s / one.plain_done for one in rounds if one.plain_done]),
        cpu_s_per_100k=_median([100_000 * one.stream_cpu_s / one.events for one in rounds if one.events]),
        added_p50_ms=_added(rounds, direct, 50) if name != DIRECT else None,
        added_p99_ms=_added(rounds, direct, 99) if name != DIRECT else None,
        rss_mb=max((one.rss_mb for one in rounds), default=None),
        failures=sum((one.failures for one in rounds), Counter()),
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a markdown table; failures stand beside the figures that they spoil."""
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
    """Compare round by round, so that a slow minute of the machine weighs on both sides."""
    differences = []
    for one, base in zip(rounds, direct, strict=True):
        ours, theirs = percentile(one.ttft_ms, percent), percentile(base.ttft_ms, percent)
        if ours is not None and theirs is not None:
            differences.append(ours - theirs)
    return _median(differences)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _show(value: float | None, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"

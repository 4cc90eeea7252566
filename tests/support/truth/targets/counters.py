"""Counters and gauges of a target, as its scrapes see them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.support.truth import traffic
from tests.support.truth.samples import Changes
from tests.support.truth.traffic import Outage


class Target:
    """Collects what happens at a target.

    Args:
        labels: of the target and of all of its series.
        times: of the scrapes.
        restarts: while it is away; its counters begin at zero then.
    """

    def __init__(self, labels: str, times: Sequence[int], restarts: Iterable[Outage] = ()) -> None:
        self._labels, self._times = labels, times
        self._restarts = [each for each in restarts if each.start > times[0]]
        self._added: dict[tuple[str, str], dict[int, float]] = {}
        self._set: dict[tuple[str, str], dict[int, float]] = {}

    def declare(self, name: str, *labels: str) -> None:
        """Exposes counters that are zero."""
        for each in labels or ("",):
            self._added.setdefault((name, each), defaultdict(float))

    def add(self, at: float, name: str, value: float, labels: str = "") -> None:
        """Increases a counter."""
        if (index := self._index(at)) < len(self._times):
            self._added[name, labels][index] += value

    def observe(self, at: float, name: str, value: float, bounds: Sequence[float], count: float = 1) -> None:
        """Counts a value of a histogram so many times."""
        self.add(at, f"{name}_sum", value * count)
        self.add(at, f"{name}_count", count)
        for bound in bounds:
            if value <= bound:
                self.add(at, f"{name}_bucket", count, le(bound))
        self.add(at, f"{name}_bucket", count, le(None))

    def declare_histogram(self, name: str, bounds: Sequence[float]) -> None:
        """Exposes a histogram without values."""
        self.declare(f"{name}_sum")
        self.declare(f"{name}_count")
        self.declare(f"{name}_bucket", *(le(bound) for bound in bounds), le(None))

    def set(self, at: float, name: str, value: float, labels: str = "") -> None:
        """Sets a gauge."""
        if (index := self._index(at)) < len(self._times):
            self._set.setdefault((name, labels), {})[index] = value

    def changes(self, target: str) -> Changes:
        """All series; `target` are the labels of `up`."""
        away = [(self._index(each.start), self._index(each.end)) for each in self._restarts]
        found: Changes = {("up", target): [(self._times[0], 1.0)]}
        for start, end in away:
            found["up", target] += [(self._times[start], 0.0), (self._times[end], 1.0)]
        for (name, labels), added in self._added.items():
            total, values = 0.0, {0: 0.0}
            for index in sorted({*added, *(end for _, end in away)}):
                # Nothing ends while it is away.
                total = 0.0 if any(end == index for _, end in away) else total + added[index]
                values[index] = total
            found[name, self._full(labels)] = self._with_gaps(values, away)
        for (name, labels), values in self._set.items():
            found[name, self._full(labels)] = self._with_gaps(values, away)
        return found

    def _with_gaps(self, values: dict[int, float], away: Iterable[tuple[int, int]]) -> list[tuple[int, float | None]]:
        gone = {start: None for start, _ in away}
        return [(self._times[index], value) for index, value in sorted({**values, **gone}.items())]

    def _full(self, labels: str) -> str:
        return f"{self._labels},{labels}" if labels else self._labels

    def _index(self, at: float) -> int:
        return bisect_left(self._times, at)


def le(bound: float | None) -> str:
    """The label of a bucket, the last one without a bound."""
    return 'le="+Inf"' if bound is None else f'le="{float(bound)}"'


def restarts(engine: str, vm: str) -> list[Outage]:
    """When the process of an engine is away."""
    return [each for each in traffic.OUTAGES if (each.engine, each.vm, each.state) == (engine, vm, "down")]

"""What scrapes saw of a metric, sample by sample."""

import functools
import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SeriesName = tuple[str, str]
# By the name and labels of a series: the times at which its value changes, and to what; None while it is away.
Changes = dict[SeriesName, list[tuple[int, float | None]]]
# For how long Prometheus shows the latest sample of a series.
_LOOKBACK_S = 300
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, eq=False)
class Series:
    """A series.

    Attributes:
        labels: of it.
        changes: of its value.
        times: of the scrapes.
    """

    labels: Mapping[str, str]
    changes: Sequence[tuple[int, float | None]]
    times: Sequence[int] = field(repr=False)

    def within(self, start: float, end: float) -> Sequence[float]:
        """The samples of the scrapes in [start, end]."""
        found = self._values[bisect_left(self.times, start) : bisect_right(self.times, end)]
        return [value for value in found if not math.isnan(value)]

    def latest(self, at: float) -> float | None:
        """What Prometheus shows at a moment."""
        found = self.within(at - _LOOKBACK_S, at)
        return found[-1] if found else None

    def increase(self, start: float, end: float) -> float:
        """By how much a counter grew between the scrapes at or before both moments."""
        first, last = (bisect_right(self.times, at) - 1 for at in (start, end))
        return self._gained[last] - self._gained[max(first, 0)]

    @functools.cached_property
    def _values(self) -> Sequence[float]:
        values = array("d", [math.nan]) * len(self.times)
        for index, value in self._indexed():
            for later in range(index[0], index[1]):
                values[later] = math.nan if value is None else value
        return values

    def _indexed(self) -> Iterator[tuple[tuple[int, int], float | None]]:
        starts = [*(bisect_left(self.times, at) for at, _ in self.changes), len(self.times)]
        for index, (_, value) in zip(pairwise(starts), self.changes, strict=True):
            yield index, value

    @functools.cached_property
    def _gained(self) -> Sequence[float]:
        """What a counter has gained since the first scrape, over its resets."""
        gained, before = array("d", [0.0]), self._values[0] if self._values else math.nan
        for value in self._values[1:]:
            more = 0.0
            if not math.isnan(value):
                more = 0.0 if math.isnan(before) else value - before if value >= before else value
                before = value
            gained.append(gained[-1] + more)
        return gained


def by_metric(changes: Changes, times: Sequence[int]) -> dict[str, list[Series]]:
    """The series of each metric."""
    found: dict[str, list[Series]] = defaultdict(list)
    for (name, labels), values in changes.items():
        found[name].append(Series(dict(_LABEL.findall(labels)), values, times))
    return dict(found)

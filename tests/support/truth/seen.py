"""What scrapes saw of a gauge or a counter in a window, computed from the samples themselves."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from tests.support.truth.events import Truth
from tests.support.truth.measures import Measure, Values
from tests.support.truth.samples import Series

Across = Callable[[Iterable[float]], float]


def latest(metric: str, by: str = "", across: Across = sum, **labels: str) -> Measure:
    """The latest sample of each series, over the series of the same labels `by`."""
    return _measure(metric, by, lambda series, _, end: series.latest(end), across, "gauge", labels)


def highest(metric: str, by: str = "", across: Across = sum, **labels: str) -> Measure:
    """The highest sample of each series."""
    return _over_samples(metric, by, max, across, labels)


def lowest(metric: str, by: str = "", across: Across = sum, **labels: str) -> Measure:
    """The lowest sample of each series."""
    return _over_samples(metric, by, min, across, labels)


def average(metric: str, by: str = "", across: Across = max, **labels: str) -> Measure:
    """The mean of the samples of each series."""
    return _over_samples(metric, by, lambda found: sum(found) / len(found), across, labels)


def increase(metric: str, by: str = "", across: Across = sum, **labels: str) -> Measure:
    """By how much each counter grew, over its resets."""
    return _measure(metric, by, lambda series, start, end: series.increase(start, end), across, "count", labels)


def launcher_state(states: Sequence[str]) -> Measure:
    """The worst state that each launcher had, as its place in the list of states, from 1."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found: Values = {}
        for code, state in enumerate(states, start=1):
            had = highest("launcher_state", "job vm", max, state=state).values(truth, start, end)
            found |= {key: float(code) for key, value in had.items() if value}
        return found

    return Measure(values, "gauge", "job vm")


def _over_samples(
    metric: str, by: str, of: Callable[[Sequence[float]], float], across: Across, labels: dict[str, str]
) -> Measure:
    def value(series: Series, start: float, end: float) -> float | None:
        found = series.within(start, end)
        return of(found) if found else None

    return _measure(metric, by, value, across, "gauge", labels)


def _measure(
    metric: str, by: str, of: Callable[[Series, float, float], float | None], across: Across,
    kind: Literal["gauge", "count"], labels: dict[str, str],
) -> Measure:  # fmt: skip
    def values(truth: Truth, start: float, end: float) -> Values:
        groups: dict[str, list[float]] = defaultdict(list)
        for series in truth.samples.get(metric, ()):
            if _has(series, labels) and (value := of(series, start, end)) is not None:
                groups[" ".join(series.labels[each] for each in by.split())].append(value)
        return {key: float(across(found)) for key, found in groups.items()}

    return Measure(values, kind, by)


def _has(series: Series, labels: dict[str, str]) -> bool:
    """Whether it has these labels: "*" is any value but none."""
    return all(
        series.labels.get(name) == value or (value == "*" and name in series.labels) for name, value in labels.items()
    )

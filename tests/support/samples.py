"""The samples of one scrape: sums, selections and comparisons."""

from collections.abc import Mapping
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


def series(name: str, **labels: str) -> Series:
    """The name of one series."""
    return name, tuple(sorted(labels.items()))


class Samples:
    """Every sample of one scrape.

    Args:
        values: By name and labels.
        rising: The keys of `values` that may only rise: counters, and all series of histograms and summaries.
    """

    def __init__(self, values: Mapping[Series, float], rising: frozenset[Series]) -> None:
        self._values = values
        self._rising = rising

    @classmethod
    def parse(cls, exposition: str) -> Self:
        values: dict[Series, float] = {}
        rising: set[Series] = set()
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                key = series(sample.name, **sample.labels)
                values[key] = sample.value
                if family.type in {"counter", "histogram", "summary"}:
                    rising.add(key)
        return cls(values, frozenset(rising))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of that name that have these labels; 0 when there is none."""
        return sum(
            value
            for (found, pairs), value in self._values.items()
            if found == name and labels.items() <= dict(pairs).items()
        )

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of a metric by the values of some of its labels, without zeros."""
        sums: dict[tuple[str, ...], float] = {}
        for (found, pairs), value in self._values.items():
            if found == name and value:
                values = dict(pairs)
                key = tuple(values[label] for label in labels)
                sums[key] = sums.get(key, 0.0) + value
        return sums

    def counted(self) -> dict[Series, float]:
        """Every counter, and the count of each histogram and summary, without zeros."""
        return {
            key: self._values[key]
            for key in self._rising
            if key[0].endswith(("_total", "_count")) and self._values[key]
        }

    def fallen_since(self, earlier: Self) -> list[str]:
        """The series that may only rise, but have fallen or disappeared since an earlier scrape."""
        fallen = []
        for key in earlier._rising:
            before, now = earlier._values[key], self._values.get(key)
            if now is None or now < before:
                fallen.append(f"{key[0]}{dict(key[1])}: {before} -> {now}")
        return fallen


def risen(before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """The increases between two results of `Samples.by`, without zeros."""
    added = {key: value - before.get(key, 0.0) for key, value in after.items()}
    return {key: value for key, value in added.items() if value}

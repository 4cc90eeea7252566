"""The shortest way to a metric's values: each is an array of one number, which is added to in place.

prometheus-client finds a child by its labels, checks the amount and takes a lock at each increment, which costs many
times as much as the addition. Only the event loop's thread may add in this way. Relies on attributes of
prometheus-client's children that are not documented; a test names them.
"""

from bisect import bisect_left
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram, Summary


class Cell(Protocol):
    """One value of a metric: `cell[0] += 1`."""

    def __getitem__(self, index: int, /) -> float:
        """The value."""
        ...

    def __setitem__(self, index: int, value: float, /) -> None:
        """Sets the value."""
        ...


def cell(child: Counter | Gauge) -> Cell:
    """The value of a counter or a gauge, with all its labels."""
    inner: Any = child
    return _cell(inner._value)  # noqa: SLF001 - see above


class BoundHistogram:
    """A child of a histogram.

    Args:
        child: With all its labels.
    """

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(self, child: Histogram) -> None:
        inner: Any = child
        self._bounds: list[float] = list(inner._upper_bounds)  # noqa: SLF001 - see above
        self._buckets: list[Cell] = [_cell(bucket) for bucket in inner._buckets]  # noqa: SLF001
        self._sum: Cell = _cell(inner._sum)  # noqa: SLF001

    def observe(self, amount: float) -> None:
        """See prometheus-client."""
        self._sum[0] += amount
        self._buckets[bisect_left(self._bounds, amount)][0] += 1


class BoundSummary:
    """A child of a summary.

    Args:
        child: With all its labels.
    """

    __slots__ = ("_count", "_sum")

    def __init__(self, child: Summary) -> None:
        inner: Any = child
        self._count: Cell = _cell(inner._count)  # noqa: SLF001 - see above
        self._sum: Cell = _cell(inner._sum)  # noqa: SLF001

    def observe(self, amount: float) -> None:
        """See prometheus-client."""
        self._count[0] += 1
        self._sum[0] += amount


class _ValueCell:
    """A value that is not an array: one in memory, or in a file that has no space for it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getitem__(self, _: int) -> float:
        return float(self._value.get())

    def __setitem__(self, _: int, value: float) -> None:
        self._value.set(value)


def _cell(value: Any) -> Cell:
    in_file: Cell | None = getattr(value, "cell", None)
    return _ValueCell(value) if in_file is None else in_file

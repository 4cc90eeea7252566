"""The shortest way to a metric's values: what each request increments is looked up once.

prometheus-client finds a child by its labels and checks the amount at each increment, which costs several times as much
as the increment itself. Relies on attributes of its children that are not documented; a test names them.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Summary

Increment = Callable[[float], None]


def incrementer(child: Counter | Gauge) -> Increment:
    """What adds to a counter or a gauge: an amount that is not negative for a counter."""
    value: Any = child._value  # noqa: SLF001 - see above
    return value.inc  # type: ignore[no-any-return]


class BoundHistogram:
    """A child of a histogram.

    Args:
        child: With all its labels.
    """

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(self, child: Histogram) -> None:
        inner: Any = child
        self._bounds: list[float] = list(inner._upper_bounds)  # noqa: SLF001 - see above
        self._buckets: list[Increment] = [bucket.inc for bucket in inner._buckets]  # noqa: SLF001
        self._sum: Increment = inner._sum.inc  # noqa: SLF001

    def observe(self, amount: float) -> None:
        """See prometheus-client."""
        self._sum(amount)
        self._buckets[bisect_left(self._bounds, amount)](1)


class BoundSummary:
    """A child of a summary.

    Args:
        child: With all its labels.
    """

    __slots__ = ("_count", "_sum")

    def __init__(self, child: Summary) -> None:
        inner: Any = child
        self._count: Increment = inner._count.inc  # noqa: SLF001 - see above
        self._sum: Increment = inner._sum.inc  # noqa: SLF001

    def observe(self, amount: float) -> None:
        """See prometheus-client."""
        self._count(1)
        self._sum(amount)

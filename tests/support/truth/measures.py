"""What panels should show, computed from the requests themselves and never by PromQL.

A measure gives the values of a window (start, end] by the label that a query keeps; "" where it keeps none.
"""

import functools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from tests.support.truth.amounts import Amount, Filter, anything, cancelled, label
from tests.support.truth.events import Truth
from tests.support.truth.traffic import Request

from gateway.telemetry.metrics import DURATION_BUCKETS, LENGTH_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS

Values = dict[str, float]
_BOUNDS = {"duration": DURATION_BUCKETS, "ttft": TTFT_BUCKETS, "tpot": TPOT_BUCKETS, "length": LENGTH_BUCKETS}


@dataclass(frozen=True)
class Measure:
    """What a panel should show.

    Attributes:
        values: of a window.
        kind: a "count" adds up over windows and is 0 without events; a "ratio" has no value then; a "quantile" is known
            to its bucket; a "gauge" is what the scrapes saw.
        by: the label that the query keeps.
        bounds: of a quantile's buckets.
        adds_up: whether a count of windows is the sum of theirs.
    """

    values: Callable[[Truth, float, float], Values]
    kind: Literal["count", "ratio", "quantile", "gauge"]
    by: str = ""
    bounds: tuple[float, ...] = ()
    adds_up: bool = True


def total(which: Filter = anything, amount: Amount = lambda _: 1, by: str = "") -> Measure:
    """The sum of an amount; the number of requests by default."""

    @functools.cache
    def added_up(truth: Truth) -> dict[str, tuple[list[float], list[float]]]:
        """For each label when its requests ended, and the sums of what ended before each."""
        found: dict[str, tuple[list[float], list[float]]] = {}
        for request in filter(which, truth.requests):
            name, value = label(request, by), amount(request)
            if name is not None and value is not None:
                times, sums = found.setdefault(name, ([], [0.0]))
                times.append(request.ended)
                sums.append(sums[-1] + value)
        return found

    def values(truth: Truth, start: float, end: float) -> Values:
        found = {}
        for name, (times, sums) in added_up(truth).items():
            first, last = bisect_right(times, start), bisect_right(times, end)
            if first < last:
                found[name] = sums[last] - sums[first]
        return found

    return Measure(values, "count", by)


def ratio(part: Measure, whole: Measure, factor: float = 1) -> Measure:
    """Part of a whole; of one without labels if the whole has none."""

    def values(truth: Truth, start: float, end: float) -> Values:
        parts, wholes = part.values(truth, start, end), whole.values(truth, start, end)
        keys = wholes if whole.by else parts or wholes
        found = {key: (parts.get(key, 0), wholes.get(key if whole.by else "", 0)) for key in keys}
        return {key: factor * some / every for key, (some, every) in found.items() if every}

    return Measure(values, "ratio", part.by)


def mean(amount: Amount, by: str = "") -> Measure:
    """The mean of what requests have of it."""
    return ratio(total(amount=amount, by=by), total(amount=_has(amount), by=by))


def quantile(
    number: float, of: Amount, buckets: str | tuple[float, ...], by: str = "", which: Filter = anything,
    weight: Callable[[Request], float] = lambda _: 1,
) -> Measure:  # fmt: skip
    """The value that this share of requests does not exceed, each counted `weight` times."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = defaultdict(list)
        for request in truth.ended(start, end):
            if which(request) and label(request, by) is not None and (value := of(request)) is not None:
                found[label(request, by) or ""].append((value, weight(request)))
        return {key: _quantile(number, sorted(each)) for key, each in found.items()}

    return Measure(values, "quantile", by, _bounds(buckets))


def _quantile(number: float, weighted: Sequence[tuple[float, float]]) -> float:
    sums = list(accumulate(weight for _, weight in weighted))
    return weighted[bisect_left(sums, number * sums[-1] - 1e-9)][0]


def _bounds(buckets: str | tuple[float, ...]) -> tuple[float, ...]:
    return _BOUNDS[buckets] if isinstance(buckets, str) else buckets


def within(of: Amount, buckets: str | tuple[float, ...], which: Filter = anything) -> Measure:
    """How many requests did not exceed each bound."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [value for each in truth.ended(start, end) if which(each) and (value := of(each)) is not None]
        return {str(float(bound)): sum(value <= bound for value in found) for bound in (*_bounds(buckets), math.inf)}

    return Measure(values, "count", "le")


def within_share(of: Amount, bound: float) -> Measure:
    """The share of requests that did not exceed a bound."""
    return ratio(total(_within(of, bound)), total(amount=_has(of)))


def beyond(of: Amount, bound: float) -> Measure:
    """How many requests exceeded a bound."""
    inside = _within(of, bound)
    return total(lambda request: not inside(request), _has(of))


def having(of: Amount) -> Measure:
    """How many requests have an amount."""
    return total(amount=_has(of))


def discarded(by: str = "") -> Measure:
    """Events of streams that nobody read to the end."""
    return total(lambda request: request.outcome != "ok", lambda request: request.events or None, by)


def cancellations() -> Measure:
    """Cancelled requests, before or after their first event."""

    def values(truth: Truth, start: float, end: float) -> Values:
        codes = total(cancelled, by="code").values(truth, start, end)
        return {"before_first_event": codes.get("499", 0), "after_first_event": codes.get("200", 0)}

    return Measure(values, "count", "phase")


def never(by: str = "") -> Measure:
    """Nothing: what did not happen."""
    return Measure(lambda *_: {}, "count", by)


def always(value: float, *keys: str, by: str = "") -> Measure:
    """The same at all times."""
    return Measure(lambda *_: dict.fromkeys(keys or ("",), value), "gauge", by)


def _within(of: Amount, bound: float) -> Filter:
    return lambda request: (value := of(request)) is not None and value <= bound


def _has(amount: Amount) -> Amount:
    return lambda request: None if amount(request) is None else 1

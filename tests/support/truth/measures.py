"""What panels should show, computed from the requests themselves and never by PromQL.

A measure gives the values of a window (start, end] by the label that a query keeps; "" where it keeps none.
"""

import functools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.support.truth.amounts import Amount, Filter, anything, cancelled, label
from tests.support.truth.traffic import Request

from gateway.telemetry.metrics import DURATION_BUCKETS, LENGTH_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS
from observability.settings import EVALUATION_INTERVAL_SECONDS

Values = dict[str, float]
_BOUNDS = {"duration": DURATION_BUCKETS, "ttft": TTFT_BUCKETS, "tpot": TPOT_BUCKETS, "length": LENGTH_BUCKETS}


@dataclass(frozen=True, eq=False)
class Truth:
    """What happened.

    Attributes:
        requests: by the time at which they ended.
        times: of the scrapes.
    """

    requests: Sequence[Request]
    times: Sequence[int]
    _ended: list[float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ended", [request.ended for request in self.requests])

    def ended(self, start: float, end: float) -> Sequence[Request]:
        """Requests that ended in (start, end]."""
        return self.requests[bisect_right(self._ended, start) : bisect_right(self._ended, end)]

    def indices(self, start: float, end: float) -> tuple[int, int]:
        """Of the first scrape in [start, end], and of the one after the last."""
        return bisect_left(self.times, start), bisect_right(self.times, end)

    def scrapes(self, start: float, end: float) -> Sequence[int]:
        """Scrapes in [start, end]."""
        first, last = self.indices(start, end)
        return self.times[first:last]

    def latest_scrape(self, at: float) -> tuple[int, int]:
        """When it was, and how long after the one before."""
        last = bisect_right(self.times, at) - 1
        return self.times[last], self.times[last] - self.times[max(last - 1, 0)]


@dataclass(frozen=True)
class Measure:
    """What a panel should show.

    Attributes:
        values: of a window.
        kind: a "count" adds up over windows and is 0 without events; a "ratio" has no value then; a "quantile" is known
            to its bucket; a "gauge" is what the scrapes saw.
        by: the label that the query keeps.
        bounds: of a quantile's buckets.
    """

    values: Callable[[Truth, float, float], Values]
    kind: Literal["count", "ratio", "quantile", "gauge"]
    by: str = ""
    bounds: tuple[float, ...] = ()


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


def quantile(number: float, of: Amount, buckets: str, by: str = "", which: Filter = anything) -> Measure:
    """The value that this share of requests does not exceed."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = defaultdict(list)
        for request in truth.ended(start, end):
            if which(request) and label(request, by) is not None and (value := of(request)) is not None:
                found[label(request, by) or ""].append(value)
        return {key: sorted(each)[math.ceil(number * len(each) - 1e-9) - 1] for key, each in found.items()}

    return Measure(values, "quantile", by, _BOUNDS[buckets])


def within(of: Amount, buckets: str) -> Measure:
    """How many requests did not exceed each bound."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [value for each in truth.ended(start, end) if (value := of(each)) is not None]
        return {str(bound): sum(value <= bound for value in found) for bound in (*_BOUNDS[buckets], math.inf)}

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


def plus(first: Measure, second: Measure) -> Measure:
    """The sum of two measures without labels."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = (each.values(truth, start, end).get("", 0) for each in (first, second))
        return {"": sum(found)}

    return Measure(values, first.kind)


def times(first: Measure, second: Measure) -> Measure:
    """The product of two ratios without labels."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [each.values(truth, start, end).get("") for each in (first, second)]
        return {} if None in found else {"": math.prod(value for value in found if value is not None)}

    return Measure(values, "ratio")


def never(by: str = "") -> Measure:
    """Nothing: what did not happen."""
    return Measure(lambda *_: {}, "count", by)


def always(value: float, *keys: str, by: str = "") -> Measure:
    """The same at all times."""
    return Measure(lambda *_: dict.fromkeys(keys or ("",), value), "gauge", by)


def shifted(measure: Measure, seconds: float) -> Measure:
    """The same so much earlier."""
    return replace(measure, values=lambda truth, start, end: measure.values(truth, start - seconds, end - seconds))


def at_least(minimum: float, amount: Measure, measure: Measure) -> Measure:
    """The measure where there was so much of an amount."""

    def values(truth: Truth, start: float, end: float) -> Values:
        amounts = amount.values(truth, start, end)
        return {key: value for key, value in measure.values(truth, start, end).items() if amounts[key] >= minimum}

    return replace(measure, values=values)


def highest(measures: Mapping[str, tuple[Measure, float]], by: str, *, of: Callable[..., float] = max) -> Measure:
    """The highest, or lowest, of what is recorded every few seconds of windows before it: by name, of each length."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = {}
        for name, (measure, length) in measures.items():
            moments = (end - late for late in range(0, int(end - start), EVALUATION_INTERVAL_SECONDS))
            windows = (measure.values(truth, at - length, at).get("") for at in moments)
            if known := [value for value in windows if value is not None]:
                found[name] = of(known)
        return found

    return Measure(values, "gauge", by)


def scaled(measure: Measure, factor: float) -> Measure:
    """So many times a measure."""
    return replace(
        measure,
        values=lambda truth, start, end: {
            key: factor * value for key, value in measure.values(truth, start, end).items()
        },
    )


def budget_left(bad: Measure, judged_requests: Measure, objective: float) -> Measure:
    """What is left of an error budget that grows with the time lived; none where it allows no request yet."""

    def values(truth: Truth, start: float, end: float) -> Values:
        lived = min(1.0, (end - max(start, truth.times[0])) / (end - start))
        allowed = judged_requests.values(truth, start, end).get("", 0) * (1 - objective) / lived
        return {"": 1 - bad.values(truth, start, end).get("", 0) / allowed} if allowed >= 1 else {}

    return Measure(values, "ratio")


def complement(measure: Measure) -> Measure:
    """One minus a ratio."""
    return Measure(
        lambda truth, start, end: {key: 1 - value for key, value in measure.values(truth, start, end).items()},
        measure.kind, measure.by,
    )  # fmt: skip


def _within(of: Amount, bound: float) -> Filter:
    return lambda request: (value := of(request)) is not None and value <= bound


def _has(amount: Amount) -> Amount:
    return lambda request: None if amount(request) is None else 1

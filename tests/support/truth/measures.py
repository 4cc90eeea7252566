"""What panels should show, computed from the requests themselves and never by PromQL.

A measure gives the values of a window (start, end] by the label that a query keeps; "" where it keeps none.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.support.truth import traffic
from tests.support.truth.exposition import STATES
from tests.support.truth.traffic import Request

from gateway.telemetry.metrics import DURATION_BUCKETS, LENGTH_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS
from observability.settings import FAILED_OUTCOMES

Values = dict[str, float]
Filter = Callable[[Request], bool]
Amount = Callable[[Request], float | None]
_BOUNDS = {"duration": DURATION_BUCKETS, "ttft": TTFT_BUCKETS, "tpot": TPOT_BUCKETS, "length": LENGTH_BUCKETS}


@dataclass(frozen=True)
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

    def scrapes(self, start: float, end: float) -> Sequence[int]:
        """Scrapes in [start, end]."""
        return self.times[bisect_left(self.times, start) : bisect_right(self.times, end)]


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


# ---- Filters and amounts of requests


def anything(_: Request) -> bool:
    return True


def failed(request: Request) -> bool:
    return request.outcome in FAILED_OUTCOMES


def judged(request: Request) -> bool:
    return request.outcome == "ok" or failed(request)


def accepted(request: Request) -> bool:
    return request.outcome not in ("client_error", "rate_limited")


def not_ok(request: Request) -> bool:
    return accepted(request) and request.outcome != "ok"


def cancelled(request: Request) -> bool:
    return request.outcome == "cancelled"


def has_key(request: Request) -> bool:
    return bool(request.key)


def scraped(request: Request) -> bool:
    """Whether the series of its key existed before: `rate` sees no event that is in the first sample of a series."""
    return request.ended > traffic.KEYS[request.key] + traffic.FIRST_SCRAPE_S


def of_scraped(amount: Amount) -> Amount:
    """An amount of such requests."""
    return lambda request: amount(request) if scraped(request) else None


def attempted(request: Request) -> bool:
    return _attempt(request) is not None


def attempt_failed(request: Request) -> bool:
    return _attempt(request) not in (None, "ok", "cancelled", "rejected", "busy")


def cost(request: Request) -> float | None:
    return request.cost or None


def equivalents(request: Request) -> float | None:
    return request.equivalents or None


def all_tokens(request: Request) -> float | None:
    return request.tokens[0] + request.tokens[1] if request.tokens else None


def tokens(kind: str) -> Amount:
    index = ("input", "output", "cached_input", "reasoning").index(kind)
    return lambda request: request.tokens[index] if request.tokens else None


def ttft(request: Request) -> float | None:
    return None if cancelled(request) else request.ttft


def tpot(request: Request) -> float | None:
    if request.generating is None or request.tokens is None or request.tokens[1] <= 1:
        return None
    return request.generating / (request.tokens[1] - 1)


def duration(request: Request) -> float | None:
    return request.duration


# ---- Measures


def total(which: Filter = anything, amount: Amount = lambda _: 1, by: str = "") -> Measure:
    """The sum of an amount; the number of requests by default."""

    def values(truth: Truth, start: float, end: float) -> Values:
        sums: Values = defaultdict(float)
        for request in truth.ended(start, end):
            if which(request) and _label(request, by) is not None and (value := amount(request)) is not None:
                sums[_label(request, by) or ""] += value
        return sums

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
            if which(request) and _label(request, by) is not None and (value := of(request)) is not None:
                found[_label(request, by) or ""].append(value)
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
    inside: Filter = lambda request: (value := of(request)) is not None and value <= bound  # noqa: E731
    return ratio(total(inside), total(amount=_has(of)))


def in_flight(by: str = "", which: Filter = anything) -> Measure:
    """The most requests in flight in a scrape."""

    def values(truth: Truth, start: float, end: float) -> Values:
        keys = {""} if not by else {"large", "small", "none"}
        peaks = dict.fromkeys(keys, 0.0)
        for at in truth.scrapes(start, end):
            inside = [request for request in truth.ended(at, at + traffic.HOUR) if request.started <= at]
            for key in keys:
                count = sum(which(request) and key in ("", _label(request, by)) for request in inside)
                peaks[key] = max(peaks[key], count)
        return peaks

    return Measure(values, "gauge", by)


def in_flight_by_model() -> Measure:
    """The sum of each model's peak: they may have been at different times."""
    by_model = in_flight("model")
    return Measure(lambda truth, start, end: {"": sum(by_model.values(truth, start, end).values())}, "gauge")


def waiting(beyond: bool) -> Measure:
    """The most requests that wait for a slot of the engine of the queue, or have one, in a scrape."""
    inside = in_flight(which=lambda request: request.model == "large" and request.tokens is not None)

    def values(truth: Truth, start: float, end: float) -> Values:
        peak = inside.values(truth, start, end)[""]
        return {"": max(0, peak - traffic.SLOTS) if beyond else min(peak, traffic.SLOTS)}

    return Measure(values, "gauge")


def worst_state() -> Measure:
    """Each engine's worst state, as its place in the list of states, from 1."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = {}
        for engine in traffic.ENGINES:
            codes = [_state(engine.name, at) for at in truth.scrapes(start, end)]
            if known := [code for code in codes if code]:
                found[engine.name] = float(max(known))
        return found

    return Measure(values, "gauge", "engine")


def paid(part: str = "", by: str = "") -> Measure:
    """Dollars of the engines' time: of "requests", "idle", or both."""

    def values(truth: Truth, start: float, end: float) -> Values:
        sums: Values = defaultdict(float)
        for engine in traffic.ENGINES:
            every = engine.usd_per_hour / traffic.HOUR * _uptime(start, end)
            used = sum(each.cost for each in truth.ended(start, end) if each.model == engine.model)
            for name, usd in (("requests", used), ("idle", every - used)):
                if part in ("", name):
                    sums[{"engine": engine.name, "part": name}.get(by, "")] += usd
        return sums

    return Measure(values, "count", by)


def discarded(by: str = "") -> Measure:
    """Events of streams that nobody read to the end."""
    return total(lambda request: request.outcome != "ok", lambda request: request.events or None, by)


def cancellations() -> Measure:
    """Cancelled requests, before or after their first event."""

    def values(truth: Truth, start: float, end: float) -> Values:
        codes = total(cancelled, by="code").values(truth, start, end)
        return {"before_first_event": codes.get("499", 0), "after_first_event": codes.get("200", 0)}

    return Measure(values, "count", "phase")


def nginx_responses() -> Measure:
    """What nginx answered itself while the gateway was away."""

    def values(_: Truth, start: float, end: float) -> Values:
        return {"": sum(each.nginx_responses for each in traffic.RESTARTS if start < each.end <= end)}

    return Measure(values, "count")


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


def never() -> Measure:
    """Nothing: what did not happen."""
    return Measure(lambda *_: {"": 0.0}, "gauge")


def hourly_price() -> Measure:
    """The price of all engines."""
    return Measure(lambda *_: {"": sum(engine.usd_per_hour for engine in traffic.ENGINES)}, "gauge")


def complement(measure: Measure) -> Measure:
    """One minus a ratio."""
    return Measure(
        lambda truth, start, end: {key: 1 - value for key, value in measure.values(truth, start, end).items()},
        measure.kind, measure.by,
    )  # fmt: skip


def _has(amount: Amount) -> Amount:
    return lambda request: None if amount(request) is None else 1


def _label(request: Request, by: str) -> str | None:
    """The value of a label; None for requests that are not counted by it."""
    if by == "engine":
        return traffic.BY_MODEL[request.model].name if _attempt(request) else None
    if by == "key":
        return request.key or None
    if by == "phase":
        return request.phase or None
    return {
        "": "", "model": request.model, "outcome": request.outcome, "code": str(request.code), "route": request.route,
        "reason": request.outcome, "result": _attempt(request),
    }[by]  # fmt: skip


def _attempt(request: Request) -> str | None:
    """How the attempt at an engine ended; None where no engine was asked."""
    if request.model not in traffic.BY_MODEL or request.code in traffic.REFUSED:
        return None
    return traffic.ATTEMPTS.get(request.outcome, "unreachable")


def _state(engine: str, at: float) -> int:
    """The place of its state in the list; 0 while the gateway is away."""
    if any(restart.start <= at < restart.end for restart in traffic.RESTARTS):
        return 0
    states: Iterable[str] = (
        outage.state for outage in traffic.OUTAGES if outage.engine == engine and outage.start <= at < outage.end
    )
    return 1 + STATES.index(next(iter(states), "ready"))


def _uptime(start: float, end: float) -> float:
    away = (max(0.0, min(end, each.end) - max(start, each.start)) for each in traffic.RESTARTS)
    return end - start - sum(away)

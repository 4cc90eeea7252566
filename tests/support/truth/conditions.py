"""The state of the stack over time: requests in flight, engines, dollars, what nginx answered itself."""

import functools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate

from tests.support.truth import traffic
from tests.support.truth.amounts import Filter, anything, label
from tests.support.truth.exposition import STATES
from tests.support.truth.measures import Measure, Truth, Values, total
from tests.support.truth.traffic import Request


def in_flight(by: str = "", which: Filter = anything) -> Measure:
    """The most requests in flight in a scrape."""

    @functools.cache
    def counted(truth: Truth) -> dict[str, list[int]]:
        groups: dict[str, list[Request]] = defaultdict(list)
        for request in filter(which, truth.requests):
            groups[label(request, by) or ""].append(request)
        return {key: _in_flight(truth, requests) for key, requests in groups.items()}

    def values(truth: Truth, start: float, end: float) -> Values:
        first, last = truth.indices(start, end)
        return {key: float(max(counts[first:last], default=0)) for key, counts in counted(truth).items()}

    return Measure(values, "gauge", by)


def _in_flight(truth: Truth, requests: Iterable[Request]) -> list[int]:
    """How many of these requests are in flight in each scrape."""
    moves = [0] * (len(truth.times) + 1)
    for request in requests:
        moves[bisect_left(truth.times, request.started)] += 1
        moves[bisect_left(truth.times, request.ended)] -= 1
    return list(accumulate(moves))[:-1]


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


def engines_ready(factor: int) -> Measure:
    """Ready engines, plus so many times the number of all."""
    states = worst_state()

    def values(truth: Truth, start: float, end: float) -> Values:
        codes = states.values(truth, start, end)
        return {"": sum(code == 1 for code in codes.values()) + factor * len(codes)}

    return Measure(values, "gauge")


def reachable() -> Measure:
    """The share of scrapes in which the gateway was reachable."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [_state(traffic.ENGINES[0].name, at) > 0 for at in truth.scrapes(start, end)]
        return {"": sum(found) / len(found)}

    return Measure(values, "gauge")


def ejections() -> Measure:
    """How often each engine was ejected."""

    def values(_: Truth, start: float, end: float) -> Values:
        found = [each.engine for each in traffic.OUTAGES if each.state == "ejected" and start < each.start <= end]
        return {engine: float(found.count(engine)) for engine in found}

    return Measure(values, "count", "engine")


def refused_keys() -> Measure:
    """Requests with an invalid key."""
    refused = total(lambda request: request.code == traffic.UNAUTHORIZED)

    def values(truth: Truth, start: float, end: float) -> Values:
        return {"invalid_api_key": refused.values(truth, start, end).get("", 0)}

    return Measure(values, "count", "reason")


def nginx_responses() -> Measure:
    """What nginx answered itself while the gateway was away."""

    def values(_: Truth, start: float, end: float) -> Values:
        return {"": sum(each.nginx_responses for each in traffic.RESTARTS if start < each.end <= end)}

    return Measure(values, "count")


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


def hourly_price() -> Measure:
    """The price of all engines."""
    return Measure(lambda *_: {"": sum(engine.usd_per_hour for engine in traffic.ENGINES)}, "gauge")


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

"""Measures that are made of others."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tests.support.truth import traffic
from tests.support.truth.events import Truth
from tests.support.truth.measures import Measure, Values

from observability.settings import EVALUATION_INTERVAL_SECONDS


def plus(first: Measure, *others: Measure) -> Measure:
    """The sum of measures without labels, of which one has a value."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [each.values(truth, start, end).get("") for each in (first, *others)]
        known = [value for value in found if value is not None]
        return {"": sum(known)} if known or first.kind == "count" else {}

    return replace(first, values=values)


def minus(first: Measure, second: Measure) -> Measure:
    """The difference of two measures, by the labels of the first."""

    def values(truth: Truth, start: float, end: float) -> Values:
        less = second.values(truth, start, end)
        return {key: value - less.get(key, 0) for key, value in first.values(truth, start, end).items()}

    return replace(first, values=values)


def split(by: str, measures: Mapping[str, Measure]) -> Measure:
    """Measures side by side; each has the value of another label `by`, after those that it has."""
    first = next(iter(measures.values()))

    def values(truth: Truth, start: float, end: float) -> Values:
        found = {}
        for name, measure in measures.items():
            for key, value in measure.values(truth, start, end).items():
                found[f"{key} {name}".strip()] = value
        return found

    return replace(first, values=values, by=f"{first.by} {by}".strip())


def either(measures: Iterable[Measure]) -> Measure:
    """Measures of the same labels, together."""
    known = list(measures)

    def values(truth: Truth, start: float, end: float) -> Values:
        found: Values = {}
        for measure in known:
            found |= measure.values(truth, start, end)
        return found

    return replace(known[0], values=values)


def at_engines(measure: Measure) -> Measure:
    """The same of what engines worked for, instead of the requests of clients."""
    return replace(measure, values=lambda truth, start, end: measure.values(truth.engines, start, end))


def at_most(limit: float, measure: Measure) -> Measure:
    """The measure, or the limit if it is more."""
    return _each(measure, lambda value: min(limit, value))


def inverse(measure: Measure) -> Measure:
    """One over it, and over its bounds; of values below the first one there is no limit."""
    bounds = (*sorted(1 / bound for bound in measure.bounds), math.inf)
    return replace(_each(measure, lambda value: 1 / value), bounds=bounds)


def since(measure: Measure) -> Measure:
    """Seconds from a time until panels are asked."""
    return _each(measure, lambda value: traffic.ASKED_AT - value)


def times(first: Measure, second: Measure) -> Measure:
    """The product of two ratios without labels."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = [each.values(truth, start, end).get("") for each in (first, second)]
        return {} if None in found else {"": math.prod(value for value in found if value is not None)}

    return Measure(values, "ratio")


def shifted(measure: Measure, seconds: float) -> Measure:
    """The same so much earlier."""
    return replace(measure, values=lambda truth, start, end: measure.values(truth, start - seconds, end - seconds))


def at_least(minimum: float, amount: Measure, measure: Measure) -> Measure:
    """The measure where there was so much of an amount."""

    def values(truth: Truth, start: float, end: float) -> Values:
        amounts = amount.values(truth, start, end)
        shown = measure.values(truth, start, end)
        return {key: value for key, value in shown.items() if amounts.get(key, amounts.get("", 0)) >= minimum}

    return replace(measure, values=values, adds_up=False)


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
    return _each(measure, lambda value: factor * value)


def budget_left(bad: Measure, judged_requests: Measure, objective: float) -> Measure:
    """What is left of an error budget that grows with the time lived; none where it allows no request yet."""

    def values(truth: Truth, start: float, end: float) -> Values:
        lived = min(1.0, (end - max(start, truth.times[0])) / (end - start))
        allowed = judged_requests.values(truth, start, end).get("", 0) * (1 - objective) / lived
        return {"": 1 - bad.values(truth, start, end).get("", 0) / allowed} if allowed >= 1 else {}

    return Measure(values, "ratio")


def complement(measure: Measure) -> Measure:
    """One minus a ratio."""
    return _each(measure, lambda value: 1 - value)


def each_vm(measure: Measure) -> Measure:
    """The measure of each VM by itself."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = {}
        for vm in truth.vms:
            for key, value in measure.values(truth.of(vm), start, end).items():
                found[f"{key} {vm}".strip()] = value
        return found

    return replace(measure, values=values, by=f"{measure.by} vm".strip())


def across_vms(aggregate: Callable[[Iterable[float]], float], measure: Measure) -> Measure:
    """The highest, lowest or sum of what each VM has by itself, of a measure without labels."""
    by_vm = each_vm(measure)

    def values(truth: Truth, start: float, end: float) -> Values:
        found = by_vm.values(truth, start, end)
        return {"": aggregate(found.values())} if found else {}

    return replace(measure, values=values)


def _each(measure: Measure, change: Callable[[float], float]) -> Measure:
    def values(truth: Truth, start: float, end: float) -> Values:
        return {key: change(value) for key, value in measure.values(truth, start, end).items()}

    return replace(measure, values=values)


def larger(first: Measure, second: Measure) -> Measure:
    """The larger of two measures without labels."""

    def values(truth: Truth, start: float, end: float) -> Values:
        return {"": max(each.values(truth, start, end).get("", 0) for each in (first, second))}

    return replace(first, values=values)


def lowest_of(measure: Measure) -> Measure:
    """The lowest over its labels."""

    def values(truth: Truth, start: float, end: float) -> Values:
        found = measure.values(truth, start, end)
        return {"": min(found.values())} if found else {}

    return replace(measure, values=values, by="")


def prefixed(text: str, measure: Measure, by: str) -> Measure:
    """With more labels, of which the first are always the same."""

    def values(truth: Truth, start: float, end: float) -> Values:
        return {text + key: value for key, value in measure.values(truth, start, end).items()}

    return replace(measure, values=values, by=by)


def gauge(measure: Measure) -> Measure:
    """What the scrapes saw, and no events."""
    return replace(measure, kind="gauge")


def of_vms(values: Mapping[str, float]) -> Measure:
    """A number of each VM that is always the same."""
    return Measure(lambda truth, *_: {vm: values[vm] for vm in truth.vms}, "gauge", "vm")

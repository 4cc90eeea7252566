"""Follows the alerts of a drill: when each fired, was delivered, and resolved."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Attempt, Labels, Rule

# The label `vm` of every target that a drill adds.
VM = "drill"
# The group_wait of the drill's route in Grafana's notification policies, less the time between two polls.
_GROUP_WAIT_S = 7.0
_GROUP_INTERVAL_S = 60.0
_EVALUATIONS_S = 150.0  # two evaluations a minute apart, and a slow machine
# The longest window of an alert's query: a fault that has ended is in it for so long.
_LONGEST_WINDOW_S = 15 * 60.0


@dataclass(slots=True)
class Sighting:
    """What was seen of an alert.

    Attributes:
        alert: its name.
        instance: the label `instance` of the target whose alert it is.
        began: Unix time at which its fault was put in.
        ended: Unix time at which its fault was undone; None before.
        deadline_s: seconds after `began` by which it must have fired and been delivered.
        fired_s: seconds after `began`; None if it has not fired.
        delivered_s: seconds after `began`; None if it was not delivered.
        resolved_s: seconds after `ended`; None if it has not resolved.
        error: of the latest delivery that failed.
    """

    alert: str
    instance: str
    began: float
    deadline_s: float
    ended: float | None = None
    fired_s: float | None = None
    delivered_s: float | None = None
    resolved_s: float | None = None
    error: str = ""

    @property
    def is_delivered(self) -> bool:
        """Whether it has fired and been delivered."""
        return self.delivered_s is not None

    @property
    def is_complete(self) -> bool:
        """Whether all of it was seen."""
        return self.is_delivered and self.resolved_s is not None


class Watch:
    """All alerts of a drill.

    Args:
        clock: the time, as Grafana has it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sightings: list[tuple[Fault, Sighting]] = []

    def begin(self, fault: Fault, instance: str, rules: dict[str, Rule]) -> list[Sighting]:
        """Begins to follow the alerts of a fault that has just been put in, as far as Grafana has their rules."""
        now = self._clock()
        found = [
            Sighting(name, instance, now, fault.lead_s + rules[name].for_s + _EVALUATIONS_S + _GROUP_INTERVAL_S)
            for name in fault.alerts
            if name in rules
        ]
        self._sightings += [(fault, each) for each in found]
        return found

    def end(self, fault: Fault) -> None:
        """Notes that a fault has been undone."""
        for of, sighting in self._sightings:
            if of is fault and sighting.ended is None:
                sighting.ended = self._clock()

    def drop(self, fault: Fault) -> None:
        """Forgets a fault that was not put in."""
        self._sightings = [(of, each) for of, each in self._sightings if of is not fault]

    def of(self, fault: Fault) -> list[Sighting]:
        """The alerts of a fault."""
        return [sighting for of, sighting in self._sightings if of is fault]

    def update(self, rules: dict[str, Rule], attempts: Iterable[Attempt]) -> None:
        """Compares with what Grafana reports now."""
        now = self._clock()
        for _, sighting in self._sightings:
            rule = rules.get(sighting.alert)
            is_firing = rule is not None and any(_is_of(sighting, labels) for labels in rule.firing)
            if is_firing and sighting.fired_s is None and sighting.ended is None:
                sighting.fired_s = now - sighting.began
            if sighting.fired_s is not None and not sighting.is_delivered:
                _note_delivery(sighting, attempts)
            if not is_firing and sighting.fired_s is not None and sighting.ended is not None:
                sighting.resolved_s = sighting.resolved_s if sighting.resolved_s is not None else now - sighting.ended

    def is_overdue(self, fault: Fault) -> bool:
        """Whether the alerts of a fault have had enough time to fire and to be delivered."""
        return all(each.is_delivered or self._clock() - each.began > each.deadline_s for each in self.of(fault))

    def unresolved(self) -> list[Sighting]:
        """Alerts that have fired, have not resolved, and still may."""
        now = self._clock()
        return [
            each
            for _, each in self._sightings
            if each.fired_s is not None
            and each.resolved_s is None
            and (each.ended is None or now - each.ended < _LONGEST_WINDOW_S + _EVALUATIONS_S)
        ]


def _note_delivery(sighting: Sighting, attempts: Iterable[Attempt]) -> None:
    """Grafana knows a contact point's latest notification, and not of which alert it was: the first one that can be."""
    if sighting.fired_s is None:
        return
    due = sighting.began + sighting.fired_s + _GROUP_WAIT_S
    later = [attempt for attempt in attempts if attempt.at >= due]
    if delivered := [attempt.at for attempt in later if not attempt.error]:
        sighting.delivered_s, sighting.error = min(delivered) - sighting.began, ""
    elif later:
        sighting.error = later[0].error


def _is_of(sighting: Sighting, labels: Labels) -> bool:
    """Whether a firing instance is the drill's: another fault, or a real one, may fire the same alert elsewhere."""
    return labels.get("vm", VM) == VM and labels.get("instance", sighting.instance) == sighting.instance

"""The result of a drill, as data, as text and as Markdown."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glasshouse.console import duration, table
from glasshouse.drill.catalogue import FAULTS, NOT_DRILLED
from glasshouse.drill.fault import Fault
from glasshouse.drill.watch import Sighting

KINDS = {
    "real": "a real part",
    "stand-in": "stand-ins, through the whole chain",
    "synthetic": "rule and delivery drilled with synthetic data",
}
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """What came of a fault; `skipped` says why it was not put in, empty if it was."""

    fault: Fault
    sightings: Sequence[Sighting] = ()
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a drill.

    Attributes:
        faults: in the order in which they were put in.
        not_drilled: alerts of this Grafana that no fault fires, and why.
        firing_before: alerts that fired before the first fault.
    """

    faults: Sequence[FaultOutcome]
    not_drilled: Mapping[str, str]
    firing_before: Sequence[str] = ()

    @property
    def is_complete(self) -> bool:
        """Whether a fault was put in, and every alert of each fired, was delivered, and resolved."""
        seen = [sighting.is_complete for each in self.faults for sighting in each.sightings]
        return bool(seen) and all(seen)

    def json(self) -> dict[str, Any]:
        """For programs: durations in seconds, null for what was not seen."""
        return {
            "complete": self.is_complete,
            "faults": [
                {
                    "name": each.fault.name,
                    "title": each.fault.title,
                    "kind": each.fault.kind,
                    "skipped": each.skipped or None,
                    "alerts": [_alert_json(sighting) for sighting in each.sightings],
                }
                for each in self.faults
            ],
            "not_drilled": [{"alert": name, "reason": reason} for name, reason in self.not_drilled.items()],
            "firing_before": list(self.firing_before),
        }

    def text(self) -> str:
        """For a person."""
        parts = [table(self._rows(), indent="", header=True)]
        parts += [f"Skipped: {each.fault.name}. {each.skipped}" for each in self.faults if each.skipped]
        if self.not_drilled:
            parts.append("Not drilled:\n" + table(list(self.not_drilled.items())))
        if self.firing_before:
            parts.append(f"Firing before the drill: {', '.join(self.firing_before)}")
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """For a file."""
        header, *rows = self._rows()
        lines = ["# Alert drill", "", _line(header), _line("---" for _ in header), *map(_line, rows), ""]
        if skipped := [f"- {each.fault.name}: {each.skipped}" for each in self.faults if each.skipped]:
            lines += ["Skipped:", "", *skipped, ""]
        if self.not_drilled:
            lines += ["Not drilled:", "", *(f"- {name}: {reason}" for name, reason in self.not_drilled.items()), ""]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("FAULT", "ALERT", "FIRED", "DELIVERED", "RESOLVED", "DRILLED WITH")]
        for each in self.faults:
            rows += [
                (
                    each.fault.name,
                    sighting.alert,
                    _after(sighting.fired_s),
                    sighting.error or _after(sighting.delivered_s),
                    _after(sighting.resolved_s) if sighting.fired_s is not None else _NOTHING,
                    KINDS[each.fault.kind],
                )
                for sighting in each.sightings
            ]
        return rows


def not_drilled(rules: Collection[str], faults: Sequence[Fault] = FAULTS) -> dict[str, str]:
    """The alerts of a Grafana that none of these faults fires, and why."""
    fired = {alert for fault in faults for alert in fault.alerts}
    known = {alert for fault in FAULTS for alert in fault.alerts}
    return {
        name: "Its fault was not chosen." if name in known else NOT_DRILLED.get(name, "It is not one of Glasshouse's.")
        for name in sorted(rules)
        if name not in fired
    }


def _alert_json(sighting: Sighting) -> dict[str, Any]:
    seconds = {
        name: None if value is None else round(value, 1)
        for name, value in (
            ("fired_seconds", sighting.fired_s),
            ("delivered_seconds", sighting.delivered_s),
            ("resolved_seconds", sighting.resolved_s),
        )
    }
    return {"alert": sighting.alert, **seconds, "error": sighting.error or None}


def _after(seconds: float | None) -> str:
    return "not seen" if seconds is None else duration(seconds)


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"

"""One drill from its first fault to its last: puts each in, follows its alerts, undoes it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from glasshouse.drill import outcome
from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Attempt, Grafana, Rule
from glasshouse.drill.injection import Injection
from glasshouse.drill.outcome import FaultOutcome, Outcome
from glasshouse.drill.watch import VM, Sighting, Watch
from glasshouse.errors import ApiError, DrillError, GlasshouseError

_POLL_S = 2.0
_SCRAPED_S = 60.0
# Grafana may be restarted, or the network be busy; a longer silence ends the drill.
_UNANSWERED_S = 60.0

Show = Callable[[str], None]
T = TypeVar("T")


class _NotScraped(DrillError):
    """Prometheus does not scrape what a drill adds, so that no fault can be seen."""


@dataclass(slots=True)
class _Reachable:
    """Asks Grafana, and bears that it does not answer for a while."""

    grafana: Grafana
    answered_at: float

    def state(self) -> tuple[dict[str, Rule], tuple[Attempt, ...]] | None:
        """The rules and the latest notifications; None while Grafana does not answer.

        Raises:
            ApiError: It has not answered for a minute.
            DrillError: It does not accept the password.
        """
        return self._ask(lambda: (self.grafana.rules(), self.grafana.attempts()))

    def has_series(self, expression: str) -> bool:
        """Whether a query to Prometheus returns anything; not while Grafana does not answer.

        Raises:
            ApiError: It has not answered for a minute.
        """
        return bool(self._ask(lambda: self.grafana.series(expression)))

    def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            answer = question()
        except ApiError:
            if time.monotonic() - self.answered_at > _UNANSWERED_S:
                raise
            return None
        self.answered_at = time.monotonic()
        return answer


class Session:
    """A drill.

    Args:
        grafana: the stack's.
        injection: puts faults in.
        show: shows what is being waited for.
    """

    def __init__(self, grafana: Grafana, injection: Injection, show: Show) -> None:
        self._grafana, self._injection, self._show = grafana, injection, show
        self._reachable = _Reachable(grafana, time.monotonic())
        self._watch = Watch()
        self._current: tuple[Fault, float] | None = None
        self._recovering: list[Fault] = []

    def run(self, faults: Sequence[Fault]) -> Outcome:
        """Puts the faults in, one after the other, and waits until their alerts have resolved.

        Raises:
            GlasshouseError: Grafana no longer answers, or a part cannot be started again.
        """
        rules = self._grafana.rules()
        firing = sorted(name for name, rule in rules.items() if rule.firing)
        self._show("waiting for the stand-ins to start")
        self._injection.begin()
        done = [self._drill(fault, rules) for fault in faults]
        while waiting := self._watch.unresolved():
            self._show(f"waiting for {_names(waiting)} to resolve")
            self._poll()
        for fault in list(self._recovering):
            self._injection.forget(fault)
        return Outcome(done, outcome.not_drilled(rules, faults), firing)

    def _drill(self, fault: Fault, rules: dict[str, Rule]) -> FaultOutcome:
        try:
            instance = self._injection.put_in(fault)
            began = time.monotonic()
            self._current = (fault, began)
            sightings = self._watch.begin(fault, instance, rules)
            self._wait_until_scraped(fault, instance)
        except (_NotScraped, ApiError):
            raise
        except GlasshouseError as error:
            return self._skip(fault, str(error))
        while not self._watch.is_overdue(fault):
            waiting = [each for each in sightings if not each.is_delivered]
            self._show(f"{fault.name}: {fault.title}; waiting for {_names(waiting)}")
            self._poll()
        self._current = None
        self._injection.undo(fault)
        self._watch.end(fault)
        self._recovering.append(fault)
        return FaultOutcome(fault, sightings)

    def _skip(self, fault: Fault, reason: str) -> FaultOutcome:
        self._current = None
        self._watch.drop(fault)
        self._injection.undo(fault)
        self._injection.forget(fault)
        return FaultOutcome(fault, skipped=reason)

    def _wait_until_scraped(self, fault: Fault, instance: str) -> None:
        """Waits until Prometheus has scraped the fault's target.

        Raises:
            _NotScraped: It does not try, as one that was started with an older configuration.
            DrillError: The target does not answer.
        """
        target = f'up{{vm="{VM}", instance="{instance}"}}'
        until = time.monotonic() + _SCRAPED_S
        while not self._reachable.has_series(target if fault.stops else f"{target} == 1"):
            if time.monotonic() > until:
                if self._reachable.has_series(target):
                    raise DrillError(f"{instance} does not answer Prometheus. Why: docker compose logs --tail 20 drill")
                raise _NotScraped(
                    f"Prometheus has not scraped {instance} within {_SCRAPED_S:.0f} s. If it was started before this "
                    "version: docker compose restart prometheus"
                )
            self._show(f"{fault.name}: waiting for Prometheus to scrape {instance}")
            self._poll()

    def _poll(self) -> None:
        """Refreshes what the current fault shows, and compares with what Grafana reports."""
        if self._current is not None:
            fault, began = self._current
            self._injection.refresh(fault, time.monotonic() - began)
        if (state := self._reachable.state()) is not None:
            self._watch.update(*state)
        for fault in list(self._recovering):
            if all(each.fired_s is None or each.resolved_s is not None for each in self._watch.of(fault)):
                self._injection.forget(fault)
                self._recovering.remove(fault)
        time.sleep(_POLL_S)


def _names(sightings: Sequence[Sighting]) -> str:
    return ", ".join(dict.fromkeys(each.alert for each in sightings))

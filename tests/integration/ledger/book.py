"""The truth: what each counter must say, written down request by request, and held against what it does say."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.integration.ledger.case import Case
from tests.support.samples import Samples, Series

# Asked by the tests themselves while they wait; and what no test can foretell.
_WATCHED = {("route", "/livez"), ("route", "/readyz")}
_UNTOLD = ("gateway_event_loop_lag_seconds",)


@dataclass
class Book:
    """What is known to have happened to one gateway since its start.

    Attributes:
        ended: Requests that were answered, or left by their client.
        lost: Requests that were under way in a worker when it was killed.
        unbegun: Requests that were cut with a killed worker before it had all of them: nobody counts those.
        wrong: Requests that did not end as they should have.
    """

    ended: Counter[Case] = field(default_factory=Counter)
    lost: Counter[Case] = field(default_factory=Counter)
    unbegun: Counter[Case] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _truth: Counter[Series] = field(default_factory=Counter)

    @property
    def driven(self) -> int:
        """Requests in all."""
        return self.ended.total() + self.lost.total() + self.unbegun.total()

    def end(self, case: Case, seen: int) -> None:
        """A request has ended; `seen` tokens had reached its client."""
        self.ended[case] += 1
        self.add(case.entries(seen))

    def lose(self, case: Case) -> None:
        """A request was cut with its worker."""
        if case.half:
            self.unbegun[case] += 1
        else:
            self.lost[case] += 1
            self.add(case.begun())

    def add(self, entries: Iterable[tuple[Series, int]]) -> None:
        """Something else that counters must say."""
        for name, count in entries:
            self._truth[name] += count

    def mismatches(self, samples: Samples) -> list[str]:
        """Every counter that differs from the truth, those included that say what nobody knows to have happened."""
        told = _gone_as_one(
            {
                name: count
                for name, count in samples.counted().items()
                if not name[0].startswith(_UNTOLD) and not _WATCHED.intersection(name[1])
            }
        )
        truth = _gone_as_one(+self._truth)
        return [
            f"{name}{dict(labels)}: told {told[name, labels]:g}, true {truth[name, labels]:g}"
            for name, labels in sorted({*told, *truth})
            if told[name, labels] != truth[name, labels]
        ]

    def series(self) -> int:
        """How many counters have something to say."""
        return len(+self._truth)

    def at(self, engine: str) -> Counter[str]:
        """What an engine was asked for, by how that ended: as `gateway_engine_requests_total` must have it."""
        return Counter(
            {
                dict(labels)["result"]: count
                for (name, labels), count in self._truth.items()
                if name == "gateway_engine_requests_total" and dict(labels)["engine"] == engine
            }
        )

    def table(self) -> str:
        """What was driven, for the terminal."""
        began, ended = self.ended.total() + self.lost.total(), self.ended.total()
        sums: Counter[str] = Counter()
        for case, count in self.ended.items():
            sums[f"{case.outcome} {case.code}"] += count
        lines = [f"started {began} = finished {ended} + lost {self.lost.total()}; {self.series()} counters compared"]
        return "\n".join([*lines, *(f"  {name:22}{count:6}" for name, count in sorted(sums.items()))])


def _gone_as_one(counts: Mapping[Series, float]) -> defaultdict[Series, float]:
    """The same, with `unreachable` counted as `reset`.

    A request whose engine is killed before it answers meets a reset; over a connection that was used before, it is sent
    once more, and meets a port on which nobody listens. Which of the two it is depends on what else was on that
    connection, the watcher's looks included.
    """
    merged: defaultdict[Series, float] = defaultdict(float)
    for (name, labels), count in counts.items():
        told = {**dict(labels), "result": "reset"} if ("result", "unreachable") in labels else dict(labels)
        merged[name, tuple(sorted(told.items()))] += count
    return merged

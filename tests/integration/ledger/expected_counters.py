"""The expected value of every counter, added up request by request, to compare with what the gateway reports."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.integration.ledger.request_case import RequestCase
from tests.support.samples import Samples, Series

# Requested by the tests themselves while they wait; and what no test can predict.
_POLLED_ROUTES = {("route", "/livez"), ("route", "/readyz")}
_UNPREDICTABLE = ("gateway_event_loop_lag_seconds", "gateway_process_cpu_seconds", "gateway_engine_probe")


@dataclass
class ExpectedCounters:
    """What is known to have happened to one gateway since its start.

    Attributes:
        ended: Requests that were answered, or whose client disconnected.
        lost: Requests that were in progress in a worker when it was killed.
        not_started: Requests of which a killed worker had received only a part: no counter shows those.
        failures: Requests that did not end as expected.
    """

    ended: Counter[RequestCase] = field(default_factory=Counter)
    lost: Counter[RequestCase] = field(default_factory=Counter)
    not_started: Counter[RequestCase] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _expected: Counter[Series] = field(default_factory=Counter)

    @property
    def total_requests(self) -> int:
        """Requests in all."""
        return self.ended.total() + self.lost.total() + self.not_started.total()

    def record(self, case: RequestCase, received: int) -> None:
        """A request has ended; `received` tokens have reached its client."""
        self.ended[case] += 1
        self.add(case.entries(received))

    def record_lost(self, case: RequestCase) -> None:
        """A request was lost with its worker."""
        if case.half_body:
            self.not_started[case] += 1
        else:
            self.lost[case] += 1
            self.add(case.started_entries())

    def add(self, entries: Iterable[tuple[Series, int]]) -> None:
        """Other expected increases."""
        for name, count in entries:
            self._expected[name] += count

    def differences(self, samples: Samples) -> list[str]:
        """Every counter that differs from its expected value, counters that should not have risen included."""
        reported = _merge_unreachable_and_reset(
            {
                name: count
                for name, count in samples.counted().items()
                if not name[0].startswith(_UNPREDICTABLE) and not _POLLED_ROUTES.intersection(name[1])
            }
        )
        expected = _merge_unreachable_and_reset(+self._expected)
        return [
            f"{name}{dict(labels)}: reported {reported[name, labels]:g}, expected {expected[name, labels]:g}"
            for name, labels in sorted({*reported, *expected})
            if reported[name, labels] != expected[name, labels]
        ]

    def series(self) -> int:
        """How many counters are compared."""
        return len(+self._expected)

    def attempts(self, engine: str) -> Counter[str]:
        """The requests to an engine by their results: as `gateway_engine_requests_total` must report them."""
        return Counter(
            {
                dict(labels)["result"]: count
                for (name, labels), count in self._expected.items()
                if name == "gateway_engine_requests_total" and dict(labels)["engine"] == engine
            }
        )

    def requests_of_key(self, key: str) -> int:
        """Requests that ended and were counted for this key."""
        return sum(count for case, count in self.ended.items() if case.key == key and case.key_is_known)

    def table(self) -> str:
        """A summary for the terminal."""
        began, ended = self.ended.total() + self.lost.total(), self.ended.total()
        sums: Counter[str] = Counter()
        for case, count in self.ended.items():
            sums[f"{case.outcome} {case.code}"] += count
        lines = [f"started {began} = finished {ended} + lost {self.lost.total()}; {self.series()} counters compared"]
        return "\n".join([*lines, *(f"  {name:22}{count:6}" for name, count in sorted(sums.items()))])


def _merge_unreachable_and_reset(counts: Mapping[Series, float]) -> defaultdict[Series, float]:
    """The same, with `unreachable` counted as `reset`.

    A request whose engine is killed before it responds gets a reset; over a connection that was used before, it is sent
    once more, to a port on which nothing listens. Which of the two happens depends on what else was sent over that
    connection, the polling of the engine included.
    """
    merged: defaultdict[Series, float] = defaultdict(float)
    for (name, labels), count in counts.items():
        reported = {**dict(labels), "result": "reset"} if ("result", "unreachable") in labels else dict(labels)
        merged[name, tuple(sorted(reported.items()))] += count
    return merged

"""What happened: requests by the time at which they ended, and what scrapes saw."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.support.truth import traffic
from tests.support.truth.samples import Series
from tests.support.truth.traffic import Request


@dataclass(frozen=True, eq=False)
class Truth:
    """What happened.

    Attributes:
        requests: of clients, by the time at which they ended.
        times: of the scrapes.
        at_engines: what engines worked for, by the time at which it ended.
        samples: the series of each metric.
        vms: that are looked at.
    """

    requests: Sequence[Request]
    times: Sequence[int]
    at_engines: Sequence[Request] = ()
    samples: Mapping[str, Sequence[Series]] = field(default_factory=dict)
    vms: tuple[str, ...] = traffic.VMS
    _ended: list[float] = field(init=False)
    _engines: "Truth | None" = field(init=False, default=None)
    _by_vm: dict[str, "Truth"] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ended", [request.ended for request in self.requests])

    @property
    def engines(self) -> "Truth":
        """The same with what engines worked for instead of the requests of clients."""
        if self._engines is None:
            object.__setattr__(self, "_engines", replace(self, requests=self.at_engines))
        assert self._engines
        return self._engines

    def of(self, vm: str) -> "Truth":
        """What happened on one VM."""
        if vm not in self._by_vm:
            self._by_vm[vm] = self._of(vm)
        return self._by_vm[vm]

    def _of(self, vm: str) -> "Truth":
        if self.vms == (vm,):
            return self
        requests, at_engines = ([each for each in given if each.vm == vm] for given in (self.requests, self.at_engines))
        samples = {
            name: [each for each in series if each.labels.get("vm") == vm] for name, series in self.samples.items()
        }
        return replace(self, requests=requests, at_engines=at_engines, samples=samples, vms=(vm,))

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

"""Fakes for the exporter's seams."""

import threading

from gpu_exporter.errors import Failure
from gpu_exporter.metric import Metric, Sample
from gpu_exporter.snapshot import Reading, Snapshot

UTIL = Metric("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilisation (in %).")
XIDS = Reading((("gpu", "0"),), (Sample(Metric("gpu_xid_errors_total", "counter", "Events."), 3),))


def snapshot(*gpus: int, failure: Failure | None = None, seconds: float = 0.01) -> Snapshot:
    """One that holds these GPUs."""
    return Snapshot(tuple(Reading((("gpu", str(gpu)),), (Sample(UTIL, 50 + gpu),)) for gpu in gpus), failure, seconds)


class FakeSource:
    """Makes the snapshots it is given, one after the other and then the last again; waits while `hung` is set."""

    def __init__(self, *snapshots: Snapshot | Exception) -> None:
        self._snapshots = list(snapshots)
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.made = 0
        self.closed = 0

    def hang(self) -> None:
        self._goes_on.clear()

    def go_on(self) -> None:
        self._goes_on.set()

    def snapshot(self) -> Snapshot:
        self.made += 1
        self._goes_on.wait()
        found = self._snapshots.pop(0) if len(self._snapshots) > 1 else self._snapshots[0]
        if isinstance(found, Exception):
            raise found
        return found

    def xids(self) -> tuple[Reading, ...]:
        return (XIDS,)

    def close(self) -> None:
        self.closed += 1

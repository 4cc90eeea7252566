"""Fakes for the exporter's seams."""

import threading

from gpu_exporter.errors import Failure
from gpu_exporter.snapshot import Reading, Snapshot
from launcher.exposition import Metric, Sample

UTIL = Metric("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilisation (in %).")
XIDS = Reading((("gpu", "0"),), (Sample(Metric("gpu_xid_errors_total", "counter", "Events."), 3),))


def snapshot(*gpus: int, failure: Failure | None = None, seconds: float = 0.01) -> Snapshot:
    """A snapshot of these GPUs."""
    return Snapshot(tuple(Reading((("gpu", str(gpu)),), (Sample(UTIL, 50 + gpu),)) for gpu in gpus), failure, seconds)


class FakeSource:
    """Takes the given snapshots one after the other, then the last one again; blocks between `hang` and `resume`."""

    def __init__(self, *snapshots: Snapshot | Exception) -> None:
        self._snapshots = list(snapshots)
        self._resumed = threading.Event()
        self._resumed.set()
        self.taken = 0
        self.closed = 0

    def hang(self) -> None:
        self._resumed.clear()

    def resume(self) -> None:
        self._resumed.set()

    def snapshot(self) -> Snapshot:
        self.taken += 1
        self._resumed.wait()
        found = self._snapshots.pop(0) if len(self._snapshots) > 1 else self._snapshots[0]
        if isinstance(found, Exception):
            raise found
        return found

    def xids(self) -> tuple[Reading, ...]:
        return (XIDS,)

    def close(self) -> None:
        self.closed += 1

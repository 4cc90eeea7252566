"""Counters of XID events, the driver's numbers for what went wrong on a GPU."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpu_exporter.snapshot import Reading
from launcher.exposition import Label, Metric, Sample

LAST_XID = Metric(
    "DCGM_FI_DEV_XID_ERRORS", "gauge", "The last XID event, 0 when there was none since the exporter started."
)
TOTAL = Metric("gpu_xid_errors_total", "counter", "XID events since the exporter started.")
LAST_TIMESTAMP = Metric("gpu_xid_last_timestamp_seconds", "gauge", "When the last XID event of this number came.")

# XIDs that require action. Their counters start at 0, because PromQL's increase() misses the first event of a counter
# that appears with it. All others appear with their first event.
CRITICAL = (48, 62, 64, 74, 79, 95, 119, 120)


@dataclass(slots=True)
class _Record:
    labels: tuple[Label, ...]
    counts: dict[int, int] = field(default_factory=lambda: dict.fromkeys(CRITICAL, 0))
    times: dict[int, float] = field(default_factory=dict)
    last: int = 0


class XidCounters:
    """Counts events by GPU for as long as the exporter runs. Thread-safe.

    Counts are kept when a GPU is lost, since the event that explains the loss matters most then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}

    def track(self, uuid: str, labels: tuple[Label, ...]) -> None:
        """Count for this GPU from now on, under these labels; earlier counts are kept."""
        with self._lock:
            self._records.setdefault(uuid, _Record(labels)).labels = labels

    def add(self, uuid: str, xid: int, when: float) -> None:
        """Count an event of a tracked GPU; `when` in unix seconds."""
        with self._lock:
            record = self._records[uuid]
            record.counts[xid] = record.counts.get(xid, 0) + 1
            record.times[xid] = when
            record.last = xid

    def last(self, uuid: str) -> int:
        """The last event of a tracked GPU, 0 when there was none."""
        with self._lock:
            return self._records[uuid].last

    def readings(self) -> tuple[Reading, ...]:
        """All counts, by GPU."""
        with self._lock:
            return tuple(Reading(record.labels, tuple(_samples(record))) for record in self._records.values())


def _samples(record: _Record) -> Iterator[Sample]:
    for xid, count in sorted(record.counts.items()):
        yield Sample(TOTAL, count, (("xid", str(xid)),))
    for xid, when in sorted(record.times.items()):
        yield Sample(LAST_TIMESTAMP, round(when, 3), (("xid", str(xid)),))

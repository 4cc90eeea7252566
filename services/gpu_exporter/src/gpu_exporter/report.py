"""Reports: a snapshot, judged by those before it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from gpu_exporter.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """What is published.

    Attributes:
        snapshot: the values.
        expected: how many GPUs there should be.
        last_success: when all of them were last read, in unix seconds; None when never.
        unhealthy_reason: why this container should be recreated; None when it should not.
    """

    snapshot: Snapshot
    expected: int
    last_success: float | None
    unhealthy_reason: str | None

    @property
    def up(self) -> bool:
        """Whether all GPUs that should be there were read."""
        return self.snapshot.failure is None and len(self.snapshot.readings) >= self.expected


class Reporter:
    """Remembers earlier snapshots. Not thread-safe: `SnapshotWorker` calls it under its lock.

    Args:
        expected: how many GPUs there should be; None for the most ever seen.
        log: takes a line for the operator, when the state changes.
    """

    def __init__(self, expected: int | None, log: Callable[[str], None]) -> None:
        self._expected = expected
        self._max_visible = 0
        self._last_success: float | None = None
        self._log = log
        self._last_line: str | None = None

    def report(self, snapshot: Snapshot) -> Report:
        """Judge a new snapshot."""
        visible, failure = len(snapshot.readings), snapshot.failure
        worked = self._max_visible > 0
        self._max_visible = max(self._max_visible, visible)
        expected = self._max_visible if self._expected is None else self._expected
        unhealthy_reason = str(failure) if failure is not None and failure.permanent and worked else snapshot.hung
        report = Report(snapshot, expected, self._last_success, unhealthy_reason)
        if report.up:
            self._last_success = time.time()
            report = Report(snapshot, expected, self._last_success, unhealthy_reason)
        problems = "".join(f"; {problem}" for problem in (failure, snapshot.hung) if problem is not None)
        self._log_change(f"{visible} of {expected} GPUs are read{problems}")
        return report

    def _log_change(self, line: str) -> None:
        if line != self._last_line:
            self._last_line = line
            self._log(line)

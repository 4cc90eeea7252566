"""What a snapshot means, beside what went before it."""

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
        sick: why this container should be made anew, if it should.
    """

    snapshot: Snapshot
    expected: int
    last_success: float | None
    sick: str | None

    @property
    def up(self) -> bool:
        """All GPUs that should be there were read."""
        return self.snapshot.failure is None and len(self.snapshot.readings) >= self.expected


class Reporter:
    """Remembers what was seen. Not thread-safe: `Watch` calls it under its lock.

    Args:
        expected: how many GPUs there should be; None for the most that were ever seen.
        tell: takes a line for the operator, when the state changes.
    """

    def __init__(self, expected: int | None, tell: Callable[[str], None]) -> None:
        self._expected = expected
        self._most = 0
        self._last_success: float | None = None
        self._tell = tell
        self._told: str | None = None

    def report(self, snapshot: Snapshot) -> Report:
        """Take a new snapshot into account."""
        visible, failure = len(snapshot.readings), snapshot.failure
        worked = self._most > 0
        self._most = max(self._most, visible)
        expected = self._most if self._expected is None else self._expected
        sick = str(failure) if failure is not None and failure.lasting and worked else snapshot.hung
        report = Report(snapshot, expected, self._last_success, sick)
        if report.up:
            self._last_success = time.time()
            report = Report(snapshot, expected, self._last_success, sick)
        troubles = "".join(f"; {trouble}" for trouble in (failure, snapshot.hung) if trouble is not None)
        self._tell_change(f"{visible} of {expected} GPUs are read{troubles}")
        return report

    def _tell_change(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._tell(line)

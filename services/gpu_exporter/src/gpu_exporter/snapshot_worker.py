"""Reads NVML in a thread of its own, so that a call that hangs blocks nobody."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from gpu_exporter.errors import SessionFailure
from gpu_exporter.report import Report, Reporter
from gpu_exporter.snapshot import Reading, Snapshot

_JOIN_TIMEOUT_S = 1.5


class SnapshotSource(Protocol):
    """What takes snapshots."""

    def snapshot(self) -> Snapshot:
        """Read every GPU now; may block for any time, and hang."""

    def xids(self) -> tuple[Reading, ...]:
        """The XID events so far; never blocks, from any thread."""

    def close(self) -> None:
        """Shut NVML down."""


class SnapshotWorker:
    """Takes a snapshot when one is requested, within a time limit.

    A snapshot is taken for each request, not at intervals: its values are those of the moment of the scrape, and the
    driver is not polled while nobody scrapes.

    Args:
        source: used by the worker's thread only.
        reporter: turns snapshots into reports.
        timeout_s: how long a snapshot may take; after that it has failed, and its late result is discarded.
    """

    def __init__(self, source: SnapshotSource, reporter: Reporter, timeout_s: float) -> None:
        self._source = source
        self._reporter = reporter
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._requested = True  # the first start of NVML can take seconds: it begins before the first scrape
        self._stopping = False
        self._started_at: float | None = None  # of the snapshot that is being taken
        self._completed = 0
        self._latest: Report | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the thread while the context lasts."""
        thread = threading.Thread(target=self._run, name="nvml", daemon=True)  # a hung one must not keep the process
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            thread.join(_JOIN_TIMEOUT_S)

    def collect(self) -> Report:
        """Take a snapshot, or wait for the one that is being taken; at most for the time limit."""
        with self._changed:
            awaited = self._completed + 1
            self._request()
            started_at = time.monotonic() if self._started_at is None else self._started_at
            self._changed.wait_for(lambda: self._completed >= awaited, started_at + self._timeout_s - time.monotonic())
            if self._completed >= awaited and self._latest is not None:
                return self._latest
            return self._report_timeout()

    def latest(self) -> Report | None:
        """Return the latest report without waiting, and request a new snapshot; None before the first."""
        with self._changed:
            if self._started_at is not None and time.monotonic() - self._started_at > self._timeout_s:
                return self._report_timeout()
            self._request()
            return self._latest

    def _request(self) -> None:
        if self._started_at is None:
            self._requested = True
            self._changed.notify_all()

    def _report_timeout(self) -> Report:
        started_at = time.monotonic() - self._timeout_s if self._started_at is None else self._started_at
        self._latest = self._reporter.report(self._timed_out(time.monotonic() - started_at))
        return self._latest

    def _timed_out(self, seconds: float) -> Snapshot:
        failure = SessionFailure(f"NVML has not answered within {self._timeout_s:g} s", permanent=True)
        return Snapshot((), failure, seconds, self._source.xids())

    def _run(self) -> None:
        while self._wait_for_request():
            snapshot = self._snapshot()
            with self._changed:
                self._started_at = None
                self._completed += 1
                # Values from before a hang are not current.
                late = snapshot.seconds > self._timeout_s
                self._latest = self._reporter.report(self._timed_out(snapshot.seconds) if late else snapshot)
                self._changed.notify_all()
        self._source.close()

    def _wait_for_request(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._requested or self._stopping)
            self._requested = False
            self._started_at = time.monotonic()
            return not self._stopping

    def _snapshot(self) -> Snapshot:
        started_at = time.monotonic()
        try:
            return self._source.snapshot()
        except Exception as error:  # noqa: BLE001 -- a dead thread would look like a hung NVML for ever
            failure = SessionFailure(f"a bug in this program: {error!r}")
            return Snapshot((), failure, time.monotonic() - started_at)

"""NVML in a thread of its own, so that a call that hangs holds up nobody."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from gpu_exporter.errors import SessionFailure
from gpu_exporter.report import Report, Reporter
from gpu_exporter.snapshot import Reading, Snapshot

_STOP_SECONDS = 1.5


class Source(Protocol):
    """What makes snapshots."""

    def snapshot(self) -> Snapshot:
        """Read every GPU now; may take as long as it likes, and hang."""

    def xids(self) -> tuple[Reading, ...]:
        """The XID events so far, at once, from any thread."""

    def close(self) -> None:
        """Let go of NVML."""


class Watch:
    """Makes a snapshot when one is asked for, within a time limit.

    A snapshot is made for each question, not at intervals: its values are those of the moment of the scrape, and nobody
    polls the driver while nobody looks.

    Args:
        source: used by the one thread only.
        reporter: says what a snapshot means.
        seconds: how long a snapshot may take; after that it is a failed one, and what it still brings is thrown away.
    """

    def __init__(self, source: Source, reporter: Reporter, seconds: float) -> None:
        self._source = source
        self._reporter = reporter
        self._seconds = seconds
        self._changed = threading.Condition()
        self._wanted = True  # the first start of NVML can take seconds: it begins before anybody asks
        self._stopped = False
        self._began: float | None = None  # of the snapshot that is being made
        self._made = 0
        self._newest: Report | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the thread while the context lasts."""
        thread = threading.Thread(target=self._run, name="nvml", daemon=True)  # a hung one must not keep the process
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            thread.join(_STOP_SECONDS)

    def now(self) -> Report:
        """Make a snapshot, or wait for the one that is being made; at most the time limit."""
        with self._changed:
            awaited = self._made + 1
            self._ask()
            began = time.monotonic() if self._began is None else self._began
            self._changed.wait_for(lambda: self._made >= awaited, began + self._seconds - time.monotonic())
            if self._made >= awaited and self._newest is not None:
                return self._newest
            return self._overdue()

    def known(self) -> Report | None:
        """Give what is known without waiting, and ask for a new snapshot; None before the first."""
        with self._changed:
            if self._began is not None and time.monotonic() - self._began > self._seconds:
                return self._overdue()
            self._ask()
            return self._newest

    def _ask(self) -> None:
        if self._began is None:
            self._wanted = True
            self._changed.notify_all()

    def _overdue(self) -> Report:
        began = time.monotonic() - self._seconds if self._began is None else self._began
        self._newest = self._reporter.report(self._too_long(time.monotonic() - began))
        return self._newest

    def _too_long(self, seconds: float) -> Snapshot:
        failure = SessionFailure(f"NVML has not answered within {self._seconds:g} s", lasting=True)
        return Snapshot((), failure, seconds, self._source.xids())

    def _run(self) -> None:
        while self._awaited():
            snapshot = self._snapshot()
            with self._changed:
                self._began = None
                self._made += 1
                # Values from before a hang are not those of now.
                late = snapshot.seconds > self._seconds
                self._newest = self._reporter.report(self._too_long(snapshot.seconds) if late else snapshot)
                self._changed.notify_all()
        self._source.close()

    def _awaited(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._stopped)
            self._wanted = False
            self._began = time.monotonic()
            return not self._stopped

    def _snapshot(self) -> Snapshot:
        began = time.monotonic()
        try:
            return self._source.snapshot()
        except Exception as error:  # noqa: BLE001 -- a dead thread would look like a hung NVML for ever
            failure = SessionFailure(f"a fault of this program: {error!r}")
            return Snapshot((), failure, time.monotonic() - began)

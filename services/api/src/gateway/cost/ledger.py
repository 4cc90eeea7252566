"""The cost ledger of one worker: what the time of its engines costs, split into requests, idle and lost.

With N workers, each second of an engine is booked in N shares. A share belongs to one worker at a time: a lock on a
file, which the kernel releases however the worker ends, and which the next one acquires. The file records since when
the share has been counted and how many seconds of it are booked, so that the successor of a killed worker knows what
was left unbooked. Slots (see `telemetry.multiprocess.slots`) would not do: during a reload there are more slots than
shares.
"""

import asyncio
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from loguru import logger

from gateway.cost.meter import EngineMeter
from gateway.preallocation import preallocate

_DOUBLE = struct.Struct("=d")
# How often counters are written. What a killed worker had not written is counted as lost by its successor.
FLUSH_INTERVAL_S = 0.5


class CostObserver(Protocol):
    """Receives what the ledger books. The telemetry's cost counters are one."""

    def declare_engine(self, engine: str, usd_per_hour: float) -> None:
        """An engine has this price."""

    def book(self, engine: str, part: Literal["idle", "lost"], usd: float) -> None:
        """Adds to a part of an engine's time that no request pays for, in dollars."""

    def write(self) -> None:
        """Writes what has been booked since the last call, and what requests have been charged."""


class TimeShare:
    """One of N shares of the engines' time, held until the process ends.

    All times are in seconds by a clock that all workers share (`time.monotonic`).

    Args:
        directory: Where the files of the shares are, emptied when the gateway starts; None for a single worker.
        shares: How many there are.
        engines: How many engines' time is booked.
    """

    def __init__(self, directory: Path | None, *, shares: int, engines: int) -> None:
        self._directory = directory
        self._shares = shares
        self._size = _DOUBLE.size * (1 + engines)
        # The start of the share, then the seconds booked for each engine.
        self._memory: mmap.mmap | None = None

    def acquire(self, now: float) -> bool:
        """Tries to acquire a share that no worker holds, which starts at `now` if it is new; False if there is none."""
        if self._directory is None:
            self._memory = mmap.mmap(-1, self._size)
        else:
            attempts = (self._lock(f"{self._directory}/cost-{number}.share") for number in range(self._shares))
            self._memory = next((memory for memory in attempts if memory is not None), None)
        if self._memory is None:
            return False
        if not self._get(0):
            self._set(0, now)
        return True

    def unbooked_seconds(self, engine: int, now: float) -> float:
        """Seconds of this engine since the share's start that no worker has booked."""
        return max(0.0, now - self._get(0) - self._get(1 + engine))

    def book(self, engine: int, seconds: float) -> None:
        """Books this many more seconds of this engine."""
        self._set(1 + engine, self._get(1 + engine) + seconds)

    def _lock(self, path: str) -> mmap.mmap | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None  # tried again at the next flush
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The descriptor stays open on purpose: closing it would release the share.
        try:
            preallocate(descriptor, self._size)
        except OSError as error:
            # A write to a mapping without disk space kills the process.
            logger.warning(
                "no disk space for the cost ledger ({}): a successor will not know what was booked", error.strerror
            )
            return mmap.mmap(-1, self._size)
        return mmap.mmap(descriptor, self._size)

    def _get(self, index: int) -> float:
        if self._memory is None:
            return 0.0
        value: float = _DOUBLE.unpack_from(self._memory, _DOUBLE.size * index)[0]
        return value

    def _set(self, index: int, value: float) -> None:
        if self._memory is not None:
            _DOUBLE.pack_into(self._memory, _DOUBLE.size * index, value)


class CostLedger:
    """Books the time of all engines that have a price.

    Args:
        meters: One per engine, in the same order in all workers.
        share: The share of the engines' time that this worker books.
        observer: Where it is counted.
        clock: The clock of the meters and the share.
    """

    def __init__(
        self,
        meters: Sequence[EngineMeter],
        share: TimeShare,
        observer: CostObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._share = share
        self._observer = observer
        self._clock = clock
        self._has_share = False
        for meter in meters:
            observer.declare_engine(meter.engine, meter.tariff.usd_per_hour)

    def flush(self) -> None:
        """Books everything up to now, and writes it to the counters."""
        if not self._has_share:
            self._acquire_share()
        for number, meter in enumerate(self._meters):
            paid, idle = meter.drain()
            self._share.book(number, paid + idle)
            self._observer.book(meter.engine, "idle", idle * meter.tariff.usd_per_second)
        self._observer.write()

    async def run(self) -> None:
        """Flushes periodically, forever, and once more when cancelled."""
        try:
            while True:
                self.flush()
                await asyncio.sleep(FLUSH_INTERVAL_S)
        finally:
            self.flush()

    def _acquire_share(self) -> None:
        """Starts the meters as soon as this worker has a share, and books as lost what its predecessor left."""
        now = self._clock()
        if not self._share.acquire(now):
            return
        for number, meter in enumerate(self._meters):
            lost = self._share.unbooked_seconds(number, now)
            self._share.book(number, lost)
            self._observer.book(meter.engine, "lost", lost * meter.tariff.usd_per_second)
            meter.start(now)
        self._has_share = True

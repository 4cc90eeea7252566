"""The cost ledger of one worker: what its engines' time costs, who paid, and what nobody did.

With N workers each second of an engine is booked in N parts. A part belongs to one worker at a time: a lock on a file,
which the kernel gives back when the worker ends in whatever way, and the next one takes. The file says since when the
part has been counted and how many seconds of it are booked, so that the successor of a killed worker knows what that
one had not booked. Slots (see `telemetry.slots`) would not do: during a reload there are more slots than parts.
"""

import asyncio
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loguru import logger

from gateway.cost.meter import EngineMeter
from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.multiprocess.counter_files import allocate

_DOUBLE = struct.Struct("=d")
# Counters are written so often; what a killed worker had not written is counted as lost by its successor.
PERIOD_S = 0.5


class TimeShare:
    """One part of N, held until the process ends. Seconds by a clock that all workers share (`time.monotonic`).

    Args:
        directory: Where the parts' files are, emptied when the gateway starts; None for the only worker there is.
        parts: How many there are.
        engines: Engines whose time is booked.
    """

    def __init__(self, directory: Path | None, *, parts: int, engines: int) -> None:
        self._directory = directory
        self._parts = parts
        self._size = _DOUBLE.size * (1 + engines)
        # The beginning, then the seconds booked of each engine.
        self._memory: mmap.mmap | None = None

    def acquire(self, now: float) -> bool:
        """Tries to get a part that nobody holds, which begins at `now` if it is new; False when there is none."""
        if self._directory is None:
            self._memory = mmap.mmap(-1, self._size)
        else:
            parts = (self._lock(f"{self._directory}/cost-{part}.share") for part in range(self._parts))
            self._memory = next((part for part in parts if part is not None), None)
        if self._memory is None:
            return False
        if not self._get(0):
            self._set(0, now)
        return True

    def unbooked_seconds(self, engine: int, now: float) -> float:
        """Seconds since the part's beginning that nobody has booked for this engine."""
        return max(0.0, now - self._get(0) - self._get(1 + engine))

    def book(self, engine: int, seconds: float) -> None:
        """So many seconds more of this engine are in the books."""
        self._set(1 + engine, self._get(1 + engine) + seconds)

    def _lock(self, path: str) -> mmap.mmap | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None  # tried again at the next posting
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The descriptor stays open on purpose: closing it would give the part back.
        try:
            allocate(descriptor, self._size)
        except OSError as error:
            # A mapping without room behind it ends the process when it is written to.
            logger.warning("no room for the books ({}): a successor will not know what was booked", error.strerror)
            return mmap.mmap(-1, self._size)
        return mmap.mmap(descriptor, self._size)

    def _get(self, place: int) -> float:
        if self._memory is None:
            return 0.0
        value: float = _DOUBLE.unpack_from(self._memory, _DOUBLE.size * place)[0]
        return value

    def _set(self, place: int, value: float) -> None:
        if self._memory is not None:
            _DOUBLE.pack_into(self._memory, _DOUBLE.size * place, value)


class CostLedger:
    """Keeps the accounts of all engines that have a price.

    Args:
        accounts: One an engine, in the same order in all workers.
        share: Which part of the engines' time is this worker's to book.
        spending: Where it is counted.
        clock: That of the accounts and the share.
    """

    def __init__(
        self,
        meters: Sequence[EngineMeter],
        share: TimeShare,
        costs: CostCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._share = share
        self._costs = costs
        self._clock = clock
        self._open = False
        for meter in meters:
            costs.declare_engine(meter.engine, meter.tariff.usd_per_hour)

    def flush(self) -> None:
        """CostLedger all that has come up to now, and writes it to the counters."""
        if not self._open:
            self._begin()
        for number, meter in enumerate(self._meters):
            paid, idle = meter.meter.drain()
            self._share.book(number, paid + idle)
            self._costs.book(meter.engine, "idle", idle * meter.tariff.usd_per_second)
        self._costs.write()

    async def run(self) -> None:
        """Posts for ever, and once more at the end."""
        try:
            while True:
                self.flush()
                await asyncio.sleep(PERIOD_S)
        finally:
            self.flush()

    def _begin(self) -> None:
        """Begins to count as soon as this worker has a share, with what its predecessor left unbooked."""
        now = self._clock()
        if not self._share.acquire(now):
            return
        for number, meter in enumerate(self._meters):
            lost = self._share.unbooked_seconds(number, now)
            self._share.book(number, lost)
            self._costs.book(meter.engine, "lost", lost * meter.tariff.usd_per_second)
            meter.meter.start(now)
        self._open = True

"""A GPU that lives: the stub of NVML (tests/integration/gpu_exporter), told a new truth every second.

The card is made up and shaped like an L4; what reads it, the exporter, is the real one.
"""

import math
import threading
import time
from pathlib import Path
from typing import Self

from tests.integration.gpu_exporter.exporter import Exporter, Machine
from tests.support.program import HOST

_MIB = 1024**2
_IDLE_W, _BUSY_W = 28, 66


class Gpu:
    """The exporter over a stub that changes with time.

    Args:
        directory: for the stub's file and the exporter's log.
        library: where the compiled stub lies.
    """

    def __init__(self, directory: Path, library: Path) -> None:
        self._machine = Machine(directory, "l4")
        self._faults: tuple[str, ...] = ()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._millijoules = 12_345_678_901.0
        self._tell(time.monotonic())
        self.exporter = Exporter(directory, library, self._machine, {})
        self._thread = threading.Thread(target=self._live, daemon=True)

    @property
    def address(self) -> str:
        """Where Prometheus scrapes it."""
        return f"{HOST}:{self.exporter.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.exporter.ready(self.exporter.answers, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.exporter.stop()

    def fault(self, *lines: str) -> None:
        """What it says wrongly from now on, in the stub's own words; nothing ends the fault."""
        with self._lock:
            self._faults = lines
        self._tell(time.monotonic())

    def xid(self, number: int) -> None:
        """An error that the driver tells of."""
        self._machine.xid(number)

    def _live(self) -> None:
        while not self._over.wait(1):
            self._tell(time.monotonic())

    def _tell(self, now: float) -> None:
        """A load that rises and falls within two minutes, and what follows from it."""
        load = (1 + math.sin(now / 19)) / 2
        watts = _IDLE_W + (_BUSY_W - _IDLE_W) * load
        with self._lock:
            self._millijoules += watts * 1000
            free = 2100 * _MIB
            self._machine.now(
                *self._faults,
                f"0.nvmlDeviceGetUtilizationRates {load * 95:.0f} {load * 60:.0f}",
                f"0.nvmlDeviceGetMemoryInfo_v2 24152899584 477102180 {free} {24152899584 - 477102180 - free}",
                f"0.nvmlDeviceGetPowerUsage {watts * 1000:.0f}",
                f"0.nvmlDeviceGetTotalEnergyConsumption {self._millijoules:.0f}",
                f"0.nvmlDeviceGetTemperature.0 {44 + 20 * load:.0f}",
                f"0.nvmlDeviceGetClockInfo.1 {1200 + 800 * load:.0f}",
                "0.nvmlDeviceGetTotalEccErrors.1.0 0",
                "0.nvmlDeviceGetRemappedRows 0 0 0 0",
                "0.nvmlDeviceGetCurrentClocksEventReasons 0x0",
            )

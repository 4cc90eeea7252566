"""A simulated GPU: the stub of NVML (tests/integration/gpu_exporter), with new values every second.

The simulated card is an L4; the exporter that reads it is the real one.
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


class SimulatedGpu:
    """The exporter with a stub whose values change over time.

    Args:
        directory: for the stub's file and the exporter's log.
        library: the directory of the compiled stub.
    """

    def __init__(self, directory: Path, library: Path) -> None:
        self._machine = Machine(directory, "l4")
        self._faults: tuple[str, ...] = ()
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._millijoules = 12_345_678_901.0
        self._update(time.monotonic())
        self.exporter = Exporter(directory, library, self._machine, {})
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        """Where Prometheus scrapes it."""
        return f"{HOST}:{self.exporter.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.exporter.ready(self.exporter.answers, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.exporter.stop()

    def fault(self, *lines: str) -> None:
        """Lines of the stub's file that override its values; no lines end the fault."""
        with self._lock:
            self._faults = lines
        self._update(time.monotonic())

    def xid(self, number: int) -> None:
        """Makes the driver report an XID error."""
        self._machine.xid(number)

    def _run(self) -> None:
        while not self._stopped.wait(1):
            self._update(time.monotonic())

    def _update(self, now: float) -> None:
        """Writes the values for a load that rises and falls within two minutes."""
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

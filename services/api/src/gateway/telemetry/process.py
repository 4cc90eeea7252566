"""CPU and memory of a worker. prometheus-client's own process metrics do not exist for several workers."""

import os
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from gateway.telemetry.metrics import Metrics

_STATM = Path("/proc/self/statm")
_DISTRIBUTION = "glasshouse-gateway"


class ProcessMetrics:
    """Samples this process, and shows its version. One per process.

    Args:
        metrics: Where it is counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._cpu = 0.0
        self._page_size = os.sysconf("SC_PAGE_SIZE")
        metrics.build_info.labels(metadata.version(_DISTRIBUTION)).set(1)
        self.sample()

    def sample(self) -> None:
        """Counts the CPU seconds since the last call, and reads the resident memory."""
        cpu = time.process_time()
        self._metrics.process_cpu.inc(cpu - self._cpu)
        self._cpu = cpu
        with suppress(OSError):  # no /proc (macOS), or no descriptor left
            self._metrics.process_memory.set(int(_STATM.read_bytes().split()[1]) * self._page_size)

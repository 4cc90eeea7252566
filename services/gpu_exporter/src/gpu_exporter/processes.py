"""The GPU memory that each process uses."""

from collections.abc import Iterator, Sequence
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import SeriesFailure
from gpu_exporter.nvml import Handle, decode, translate_errors
from launcher.exposition import Metric, Sample

METRIC = Metric(
    "gpu_process_memory_bytes", "gauge", "Memory of the GPU that a process uses (in bytes); small ones together."
)
_MAX_PROCESSES = 16  # processes with a series of their own
_MAX_NAME_LENGTH = 64  # characters of a name
_OTHER = "other"
_UNKNOWN = "unknown"


class Processes:
    """Collects the largest processes one by one and the rest as one series, so that the number of series is bounded.

    The driver shows processes of this PID namespace: in a container, those of the host only with `pid: host`.
    """

    per_instance = True

    def __str__(self) -> str:
        return METRIC.name

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """See `Collector`."""
        used: dict[int, int] = {}
        for process in (found for handle in handles for found in _running(handle)):
            if process.usedGpuMemory is not None:  # a process with compute and graphics contexts is listed twice
                used[process.pid] = max(used.get(process.pid, 0), process.usedGpuMemory)
        by_size = sorted(used.items(), key=lambda item: (-item[1], item[0]))
        samples = [_sample(str(pid), _process_name(pid), size) for pid, size in by_size[:_MAX_PROCESSES]]
        if len(by_size) > _MAX_PROCESSES:
            samples.append(_sample(_OTHER, _OTHER, sum(size for _, size in by_size[_MAX_PROCESSES:])))
        return tuple(samples)


def _sample(pid: str, name: str, size: int) -> Sample:
    return Sample(METRIC, size, (("pid", pid), ("name", name)))


def _running(handle: Handle) -> Iterator[Any]:
    with translate_errors():
        yield from pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    try:
        with translate_errors():
            graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    except SeriesFailure:  # a card without graphics
        return
    yield from graphics


def _process_name(pid: int) -> str:
    """The program without its directory and its arguments, which may hold secrets."""
    try:
        with translate_errors():
            whole = decode(pynvml.nvmlSystemGetProcessName(pid))
    except SeriesFailure:  # it has exited
        return _UNKNOWN
    return whole.partition(" ")[0].rpartition("/")[2][:_MAX_NAME_LENGTH] or _UNKNOWN

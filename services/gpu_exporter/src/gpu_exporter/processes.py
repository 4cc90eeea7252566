"""Which process holds how much of a GPU's memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import SeriesFailure
from gpu_exporter.metric import Metric, Sample
from gpu_exporter.nvml import Handle, text_of, translated

METRIC = Metric(
    "gpu_process_memory_bytes", "gauge", "Memory of the GPU that a process uses (in bytes); small ones together."
)
_MOST = 16  # processes with a series of their own
_LONGEST = 64  # characters of a name
_OTHER = "other"
_UNKNOWN = "unknown"


class Processes:
    """The collector of the processes: the largest each, the rest as one series, so that the number is bounded.

    The driver shows those of this process' PID namespace: in a container, those of the host only with `pid: host`.
    """

    per_instance = True

    def __str__(self) -> str:
        return METRIC.name

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """See `Collector`."""
        used: dict[int, int] = {}
        for process in (found for handle in handles for found in _running(handle)):
            if process.usedGpuMemory is not None:  # a process that computes and draws is listed twice
                used[process.pid] = max(used.get(process.pid, 0), process.usedGpuMemory)
        by_size = sorted(used.items(), key=lambda item: (-item[1], item[0]))
        samples = [_sample(str(pid), _name(pid), size) for pid, size in by_size[:_MOST]]
        if len(by_size) > _MOST:
            samples.append(_sample(_OTHER, _OTHER, sum(size for _, size in by_size[_MOST:])))
        return tuple(samples)


def _sample(pid: str, name: str, size: int) -> Sample:
    return Sample(METRIC, size, (("pid", pid), ("name", name)))


def _running(handle: Handle) -> Iterator[Any]:
    with translated():
        yield from pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    try:
        with translated():
            drawing = pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    except SeriesFailure:  # a card that only computes
        return
    yield from drawing


def _name(pid: int) -> str:
    """The program without its directory and its arguments, which may hold what is not for others."""
    try:
        with translated():
            whole = text_of(pynvml.nvmlSystemGetProcessName(pid))
    except SeriesFailure:  # it has ended
        return _UNKNOWN
    return whole.partition(" ")[0].rpartition("/")[2][:_LONGEST] or _UNKNOWN

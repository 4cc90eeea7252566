"""A group of metrics that one call of NVML gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpu_exporter.metric import Label, Metric, Sample
from gpu_exporter.nvml import Handle, translated


class Collector(Protocol):
    """Whatever reads some metrics of one GPU; as text it is the names of those metrics."""

    @property
    def per_instance(self) -> bool:
        """Under MIG it reads each GPU instance, and not the GPU that is cut."""

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """Read them now: from a GPU's one handle, or from those of a GPU instance's MIG devices.

        Raises:
            SeriesFailure: these cannot be had from this GPU, the others may.
            GpuFailure: the GPU is lost.
            SessionFailure: NVML as a whole does not work.
        """


@dataclass(frozen=True, slots=True)
class Row:
    """How a value is taken from what the call gives, in the metric's unit."""

    metric: Metric
    of: Callable[[Any], float]
    labels: tuple[Label, ...] = ()


class Group:
    """The collector of the table's rows: one call, and what is taken from its answer."""

    def __init__(self, call: Callable[[Handle], Any], *rows: Row, per_instance: bool = False) -> None:
        self._call = call
        self.rows = rows
        self.per_instance = per_instance

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(row.metric.name for row in self.rows))

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """See `Collector`; what MIG devices share each of them tells, so that the first is asked."""
        with translated():
            answer = self._call(handles[0])
        return tuple(Sample(row.metric, row.of(answer), row.labels) for row in self.rows)

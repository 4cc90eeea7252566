"""Collectors: each reads the metrics that one call of NVML returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpu_exporter.nvml import Handle, translate_errors
from launcher.exposition import Label, Metric, Sample


class Collector(Protocol):
    """Reads some metrics of one GPU; its `str` is the names of those metrics."""

    @property
    def per_instance(self) -> bool:
        """Whether it reads each GPU instance of a partitioned (MIG) GPU instead of the whole."""

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """Read the metrics from a GPU's one handle, or from those of a GPU instance's MIG devices.

        Raises:
            SeriesFailure: this GPU does not provide them; other metrics may be readable.
            GpuFailure: the GPU is lost.
            SessionFailure: NVML as a whole does not work.
        """


@dataclass(frozen=True, slots=True)
class Field:
    """How a value in the metric's unit is taken from what the call returns."""

    metric: Metric
    convert: Callable[[Any], float]
    labels: tuple[Label, ...] = ()


class CallCollector:
    """A collector of one NVML call and the fields of its result."""

    def __init__(self, call: Callable[[Handle], Any], *fields: Field, per_instance: bool = False) -> None:
        self._call = call
        self.fields = fields
        self.per_instance = per_instance

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(field.metric.name for field in self.fields))

    def read(self, handles: Sequence[Handle]) -> tuple[Sample, ...]:
        """See `Collector`; MIG devices of an instance share these values, so the first one is read."""
        with translate_errors():
            result = self._call(handles[0])
        return tuple(Sample(field.metric, field.convert(result), field.labels) for field in self.fields)

"""One look at all GPUs."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure
from gpu_exporter.group import Collector
from gpu_exporter.metric import Label, Sample
from gpu_exporter.nvml import Gpu, Nvml


@dataclass(frozen=True, slots=True)
class Reading:
    """What one GPU said; `labels` are on each of its samples."""

    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all GPUs said at one moment.

    A GPU that could not be read is not in it; `failure` is then why, or None when all went well. `seconds` is how long
    it took.
    """

    readings: tuple[Reading, ...]
    failure: Failure | None
    seconds: float


class Collection:
    """Makes snapshots. For one thread only, as NVML is.

    Args:
        nvml: gives the GPUs.
        collectors: each reads some metrics of a GPU.
        hostname: the label `Hostname`.
        tell: takes a line for the operator.
    """

    def __init__(self, nvml: Nvml, collectors: Sequence[Collector], hostname: str, tell: Callable[[str], None]) -> None:
        self._nvml = nvml
        self._collectors = collectors
        self._hostname = hostname
        self._tell = tell
        self._told: set[str] = set()

    def snapshot(self) -> Snapshot:
        """Read every GPU now; after a failure the next call starts NVML anew."""
        began = time.monotonic()
        readings: list[Reading] = []
        failure: Failure | None = None
        try:
            for outcome in self._outcomes():
                if isinstance(outcome, GpuFailure):
                    failure = failure or outcome  # the others' values stand
                else:
                    readings.append(outcome)
            if not readings and failure is None:
                failure = SessionFailure("NVML shows no GPU")
        except SessionFailure as error:
            readings, failure = [], error
        if failure is not None:
            self._nvml.close()
        return Snapshot(tuple(readings), failure, time.monotonic() - began)

    def close(self) -> None:
        """End NVML."""
        self._nvml.close()

    def _outcomes(self) -> Iterator[Reading | GpuFailure]:
        for index in range(self._nvml.count()):
            try:
                gpu = self._nvml.gpu(index)
                if gpu is not None:
                    yield Reading(self._labels(gpu), tuple(self._samples(gpu)))
            except GpuFailure as failure:
                yield GpuFailure(f"GPU {index}: {failure}", lasting=failure.lasting)

    def _samples(self, gpu: Gpu) -> Iterable[Sample]:
        samples: list[Sample] = []
        first: SeriesFailure | None = None
        for collector in self._collectors:
            try:
                samples.extend(collector.read(gpu.handle))
            except SeriesFailure as failure:
                first = first or failure
                self._tell_once(f"GPU {gpu.index} ({gpu.name}) does not give {collector}: {failure}")
        if not samples and first is not None:  # a GPU that answers nothing at all is not idle
            raise GpuFailure(str(first), lasting=first.lasting)
        return samples

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)

    def _labels(self, gpu: Gpu) -> tuple[Label, ...]:
        return (
            ("gpu", str(gpu.index)),
            ("UUID", gpu.uuid),
            ("pci_bus_id", gpu.bus),
            ("device", f"nvidia{gpu.index}"),
            ("modelName", gpu.name),
            ("Hostname", self._hostname),
            ("DCGM_FI_DRIVER_VERSION", gpu.driver),
        )

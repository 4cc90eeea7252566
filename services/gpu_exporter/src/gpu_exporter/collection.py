"""One look at all GPUs."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from gpu_exporter import xid
from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure
from gpu_exporter.events import Events, Watched
from gpu_exporter.group import Collector
from gpu_exporter.metric import Label, Sample
from gpu_exporter.mig import instances
from gpu_exporter.nvml import Gpu, Nvml
from gpu_exporter.once import Once
from gpu_exporter.snapshot import Reading, Snapshot


class Collection:
    """Makes snapshots. For one thread only, but for `xids`.

    Args:
        collectors: each reads some metrics of a GPU.
        hostname: the label `Hostname`.
        tell: takes a line for the operator.
        seconds: after this time without an answer NVML counts as hung.
    """

    def __init__(
        self, collectors: Sequence[Collector], hostname: str, tell: Callable[[str], None], seconds: float
    ) -> None:
        self._nvml = Nvml()
        self._collectors = collectors
        self._hostname = hostname
        self._tell = Once(tell)
        self._ledger = xid.Ledger()
        self._events = Events(self._ledger, tell, seconds)
        self._failed = False

    def snapshot(self) -> Snapshot:
        """Read every GPU now; the one after a failure starts NVML anew."""
        began = time.monotonic()
        if self._failed:
            self.close()
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
        self._failed = failure is not None
        return Snapshot(tuple(readings), failure, time.monotonic() - began, self.xids(), self._events.hung())

    def xids(self) -> tuple[Reading, ...]:
        """The XID events so far; from any thread, even while NVML hangs."""
        return self._ledger.readings()

    def close(self) -> None:
        """End NVML."""
        self._events.release()
        self._nvml.close()

    def _outcomes(self) -> Iterator[Reading | GpuFailure]:
        read: list[tuple[Watched, list[Sample]]] = []
        for index in range(self._nvml.count()):
            try:
                gpu = self._nvml.gpu(index)
                if gpu is not None:
                    read.append((Watched(gpu, self._labels(gpu)), list(self._samples(gpu))))
            except GpuFailure as failure:
                yield GpuFailure(f"GPU {index}: {failure}", lasting=failure.lasting)
        if read:
            self._events.follow([watched for watched, _ in read])
        for watched, samples in read:
            if self._events.hears(watched.gpu):
                samples.append(Sample(xid.LAST, self._ledger.last(watched.gpu.uuid)))
            yield Reading(watched.labels, tuple(samples))

    def _samples(self, gpu: Gpu) -> Iterable[Sample]:
        samples: list[Sample] = []
        first: SeriesFailure | None = None
        cut = instances(gpu.handle)
        for collector in self._collectors:
            parts = [(instance.handles, instance.labels) for instance in cut or ()]
            if cut is None or not collector.per_instance:
                parts = [((gpu.handle,), ())]
            for handles, labels in parts:
                try:
                    samples += _labelled(collector.read(handles), labels)
                except SeriesFailure as failure:
                    first = first or failure
                    self._tell(f"GPU {gpu.index} ({gpu.name}) does not give {collector}: {failure}")
        if not samples and first is not None:  # a GPU that answers nothing at all is not idle
            raise GpuFailure(str(first), lasting=first.lasting)
        return samples

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


def _labelled(samples: Iterable[Sample], labels: tuple[Label, ...]) -> Iterator[Sample]:
    return (Sample(sample.metric, sample.value, labels + sample.labels) for sample in samples)

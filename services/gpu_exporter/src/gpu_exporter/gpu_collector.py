"""Takes snapshots of all GPUs."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from gpu_exporter import xid_counters
from gpu_exporter.collector import Collector
from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure
from gpu_exporter.logs import DedupLogger
from gpu_exporter.mig import instances
from gpu_exporter.nvml import Gpu, Nvml
from gpu_exporter.snapshot import Reading, Snapshot
from gpu_exporter.xid_listener import MonitoredGpu, XidListener
from launcher.exposition import Label, Sample


class GpuCollector:
    """Takes snapshots. For one thread only, except `xids`.

    Args:
        collectors: each reads some metrics of a GPU.
        hostname: the label `Hostname`.
        log: takes a line for the operator.
        timeout_s: after this time without an answer NVML counts as hung.
    """

    def __init__(
        self, collectors: Sequence[Collector], hostname: str, log: Callable[[str], None], timeout_s: float
    ) -> None:
        self._nvml = Nvml()
        self._collectors = collectors
        self._hostname = hostname
        self._log = DedupLogger(log)
        self._counters = xid_counters.XidCounters()
        self._listener = XidListener(self._counters, log, timeout_s)
        self._failed = False

    def snapshot(self) -> Snapshot:
        """Read every GPU now; after a failure NVML is restarted first."""
        started_at = time.monotonic()
        if self._failed:
            self.close()
        readings: list[Reading] = []
        failure: Failure | None = None
        try:
            for outcome in self._outcomes():
                if isinstance(outcome, GpuFailure):
                    failure = failure or outcome  # the values of the other GPUs are kept
                else:
                    readings.append(outcome)
            if not readings and failure is None:
                failure = SessionFailure("NVML shows no GPU")
        except SessionFailure as error:
            readings, failure = [], error
        self._failed = failure is not None
        return Snapshot(tuple(readings), failure, time.monotonic() - started_at, self.xids(), self._listener.hung())

    def xids(self) -> tuple[Reading, ...]:
        """The XID events so far; from any thread, even while NVML hangs."""
        return self._counters.readings()

    def close(self) -> None:
        """Shut NVML down."""
        self._listener.stop()
        self._nvml.close()

    def _outcomes(self) -> Iterator[Reading | GpuFailure]:
        read: list[tuple[MonitoredGpu, list[Sample]]] = []
        for index in range(self._nvml.count()):
            try:
                gpu = self._nvml.gpu(index)
                if gpu is not None:
                    read.append((MonitoredGpu(gpu, self._labels(gpu)), list(self._samples(gpu))))
            except GpuFailure as failure:
                yield GpuFailure(f"GPU {index}: {failure}", permanent=failure.permanent)
        if read:
            self._listener.listen_to([monitored for monitored, _ in read])
        for monitored, samples in read:
            if self._listener.is_listening(monitored.gpu):
                samples.append(Sample(xid_counters.LAST_XID, self._counters.last(monitored.gpu.uuid)))
            yield Reading(monitored.labels, tuple(samples))

    def _samples(self, gpu: Gpu) -> Iterable[Sample]:
        samples: list[Sample] = []
        first: SeriesFailure | None = None
        partitioned = instances(gpu.handle)
        for collector in self._collectors:
            targets = [(instance.handles, instance.labels) for instance in partitioned or ()]
            if partitioned is None or not collector.per_instance:
                targets = [((gpu.handle,), ())]
            for handles, labels in targets:
                try:
                    samples += _labelled(collector.read(handles), labels)
                except SeriesFailure as failure:
                    first = first or failure
                    self._log(f"GPU {gpu.index} ({gpu.name}) does not give {collector}: {failure}")
        if not samples and first is not None:  # a GPU that answers no call at all is not idle
            raise GpuFailure(str(first), permanent=first.permanent)
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

"""The state of all GPUs at one moment."""

from dataclasses import dataclass

from gpu_exporter.errors import Failure
from launcher.exposition import Label, Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples of one GPU; `labels` are added to each of them."""

    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of all GPUs at one moment.

    Attributes:
        readings: one for each GPU that was read; one that could not be read is missing.
        failure: why one is missing, or all are; None when all went well.
        seconds: how long it took.
        xids: the XID events so far, by GPU, including those of GPUs that can no longer be read.
        hung: why this container should be recreated although GPUs were read; None when no thread hangs in NVML.
    """

    readings: tuple[Reading, ...]
    failure: Failure | None
    seconds: float
    xids: tuple[Reading, ...] = ()
    hung: str | None = None

"""What the GPUs said at one moment."""

from dataclasses import dataclass

from gpu_exporter.errors import Failure
from gpu_exporter.metric import Label, Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one GPU; `labels` are on each of its samples."""

    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all GPUs said at one moment.

    Attributes:
        readings: one for each GPU that was read; one that could not be is missing.
        failure: why one is missing, or all are; None when all went well.
        seconds: how long it took.
        xids: the XID events so far, by GPU: they happened, whether the GPU can still be read or not.
        hung: why this container should be made anew although GPUs were read; None when all threads of NVML answer.
    """

    readings: tuple[Reading, ...]
    failure: Failure | None
    seconds: float
    xids: tuple[Reading, ...] = ()
    hung: str | None = None

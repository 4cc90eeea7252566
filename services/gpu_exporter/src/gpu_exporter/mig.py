"""MIG: a GPU that is partitioned into instances, which NVML shows as devices of their own.

NVML shows one device for each compute instance; those of one GPU instance share its memory and are one instance here,
as they are for DCGM.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import SeriesFailure
from gpu_exporter.nvml import Handle, decode, translate_errors
from launcher.exposition import Label

# "NVIDIA A100-SXM4-40GB MIG 1g.5gb", or "… MIG 1c.3g.20gb" where a GPU instance holds several compute instances.
_PROFILE = re.compile(r".* MIG (?:\d+c\.)?")


@dataclass(frozen=True, slots=True)
class Instance:
    """A GPU instance: the handles of its MIG devices, and the labels that DCGM gives it."""

    handles: tuple[Handle, ...]
    labels: tuple[Label, ...]


def instances(gpu: Handle) -> tuple[Instance, ...] | None:
    """The GPU instances that this container may see, by number; None when the GPU is not partitioned.

    Raises:
        GpuFailure: it is lost.
        SessionFailure: NVML as a whole does not work.
    """
    try:
        with translate_errors():
            current, _pending = pynvml.nvmlDeviceGetMigMode(gpu)
    except SeriesFailure:  # a card without MIG
        return None
    if current != pynvml.NVML_DEVICE_MIG_ENABLE:
        return None
    found: dict[tuple[Label, ...], tuple[Handle, ...]] = {}
    for handle in _devices(gpu):
        try:
            labels = _labels(handle)
        except SeriesFailure:  # destroyed meanwhile
            continue
        found[labels] = (*found.get(labels, ()), handle)
    return tuple(Instance(handles, labels) for labels, handles in found.items())


def _devices(gpu: Handle) -> Iterator[Handle]:
    with translate_errors():
        slots = pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)
    for index in range(slots):
        try:
            with translate_errors():
                yield pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
        except SeriesFailure:  # an empty slot, or not for this container
            continue


def _labels(handle: Handle) -> tuple[Label, ...]:
    with translate_errors():
        name = decode(pynvml.nvmlDeviceGetName(handle))
        number = pynvml.nvmlDeviceGetGpuInstanceId(handle)
    return ("GPU_I_PROFILE", _PROFILE.sub("", name)), ("GPU_I_ID", str(number))

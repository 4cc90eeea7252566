"""NVML itself: starting it, the GPUs it shows, and its errors in our terms."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure

# Every error of NVML becomes one of ours here. What is not listed leaves out one series: NOT_SUPPORTED, NO_PERMISSION,
# FUNCTION_NOT_FOUND (an older driver), and whatever else a single call may say.
_FAILURES: dict[int, type[Failure]] = {
    pynvml.NVML_ERROR_GPU_IS_LOST: GpuFailure,
    pynvml.NVML_ERROR_UNINITIALIZED: SessionFailure,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: SessionFailure,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: SessionFailure,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: SessionFailure,
    pynvml.NVML_ERROR_GPU_NOT_FOUND: SessionFailure,
}
# A container that has lost its device files hears "Unknown Error"; a library older than the driver stays loaded.
_LASTING = {pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH}

Handle = Any  # NVML's own pointer to a GPU


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that NVML shows; `index` is NVML's, and `bus` a PCI address such as 00000000:00:03.0."""

    index: int
    handle: Handle
    uuid: str
    bus: str
    name: str
    driver: str


@contextlib.contextmanager
def translated(least: type[Failure] = SeriesFailure) -> Iterator[None]:
    """Turn an error of NVML into ours.

    Args:
        least: what an error that concerns a single call becomes; elsewhere than at a series it means more.

    Raises:
        Failure: NVML gave an error.
    """
    try:
        yield
    except pynvml.NVMLError as error:
        raise _FAILURES.get(error.value, least)(f"NVML: {error}", lasting=error.value in _LASTING) from error


class Nvml:
    """The library: started when it is first needed, and anew after `close`. For one thread only."""

    def __init__(self) -> None:
        self._started = False

    def count(self) -> int:
        """Start NVML if it is not, and count the GPUs of the machine.

        Raises:
            SessionFailure: there is no driver, no library, or it does not work.
        """
        with translated(SessionFailure):
            if not self._started:
                pynvml.nvmlInit()
                self._started = True
            return int(pynvml.nvmlDeviceGetCount())

    def gpu(self, index: int) -> Gpu | None:
        """Identify a GPU; None when it is not given to this container.

        Raises:
            GpuFailure: it is lost.
            SessionFailure: NVML as a whole does not work.
        """
        with translated(GpuFailure):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            except pynvml.NVMLError_NoPermission:  # NVML counts those of others too
                return None
            return Gpu(
                index=index,
                handle=handle,
                uuid=text_of(pynvml.nvmlDeviceGetUUID(handle)),
                bus=text_of(pynvml.nvmlDeviceGetPciInfo(handle).busId),
                name=text_of(pynvml.nvmlDeviceGetName(handle)),
                driver=text_of(pynvml.nvmlSystemGetDriverVersion()),
            )

    def close(self) -> None:
        """End NVML; the next call starts it anew."""
        if self._started:
            self._started = False
            with contextlib.suppress(pynvml.NVMLError):  # it is ended because it does not work
                pynvml.nvmlShutdown()


def text_of(value: str | bytes) -> str:
    """The binding gives one or the other, by version and by call."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value

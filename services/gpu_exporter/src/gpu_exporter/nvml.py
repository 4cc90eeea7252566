"""NVML: starting it, the GPUs it shows, and its errors as ours."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure

# Every error of NVML is mapped here. An error that is not listed drops one series: NOT_SUPPORTED, NO_PERMISSION,
# FUNCTION_NOT_FOUND (an older driver), and whatever else a single call may return.
_FAILURES: dict[int, type[Failure]] = {
    pynvml.NVML_ERROR_GPU_IS_LOST: GpuFailure,
    pynvml.NVML_ERROR_UNINITIALIZED: SessionFailure,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: SessionFailure,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: SessionFailure,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: SessionFailure,
    pynvml.NVML_ERROR_GPU_NOT_FOUND: SessionFailure,
}
# A container that lost its device files gets "Unknown Error"; a library older than the driver stays loaded.
_PERMANENT = {pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH}

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
def translate_errors(default: type[Failure] = SeriesFailure) -> Iterator[None]:
    """Map an error of NVML to ours.

    Args:
        default: what an error of a single call becomes; outside of reading a series it means more.

    Raises:
        Failure: NVML returned an error.
    """
    try:
        yield
    except pynvml.NVMLError as error:
        raise _FAILURES.get(error.value, default)(f"NVML: {error}", permanent=error.value in _PERMANENT) from error


class Nvml:
    """The library: started when it is first needed, and again after `close`. For one thread only."""

    def __init__(self) -> None:
        self._started = False

    def count(self) -> int:
        """Start NVML if needed, and count the GPUs of the machine.

        Raises:
            SessionFailure: there is no driver, no library, or it does not work.
        """
        with translate_errors(SessionFailure):
            if not self._started:
                pynvml.nvmlInit()
                self._started = True
            return int(pynvml.nvmlDeviceGetCount())

    def gpu(self, index: int) -> Gpu | None:
        """Identify a GPU; None when this container has no access to it.

        Raises:
            GpuFailure: it is lost.
            SessionFailure: NVML as a whole does not work.
        """
        with translate_errors(GpuFailure):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            except pynvml.NVMLError_NoPermission:  # NVML counts the GPUs of other containers too
                return None
            return Gpu(
                index=index,
                handle=handle,
                uuid=decode(pynvml.nvmlDeviceGetUUID(handle)),
                bus=decode(pynvml.nvmlDeviceGetPciInfo(handle).busId),
                name=decode(pynvml.nvmlDeviceGetName(handle)),
                driver=decode(pynvml.nvmlSystemGetDriverVersion()),
            )

    def close(self) -> None:
        """Shut NVML down; the next call starts it again."""
        if self._started:
            self._started = False
            with contextlib.suppress(pynvml.NVMLError):  # it is shut down because it does not work
                pynvml.nvmlShutdown()


def decode(value: str | bytes) -> str:
    """The binding returns one or the other, depending on version and call."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure
from gpu_exporter.nvml import decode, translate_errors


@pytest.mark.parametrize(
    ("code", "failure", "permanent"),
    [
        (pynvml.NVML_ERROR_NOT_SUPPORTED, SeriesFailure, False),
        (pynvml.NVML_ERROR_UNKNOWN, SeriesFailure, True),
        (pynvml.NVML_ERROR_GPU_IS_LOST, GpuFailure, False),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, SessionFailure, False),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, SessionFailure, True),
    ],
)
def test_an_error_of_nvml_becomes_ours(code: int, failure: type[Failure], permanent: bool) -> None:
    with pytest.raises(failure, match=r"^NVML: ") as caught, translate_errors():
        raise pynvml.NVMLError(code)
    assert caught.value.permanent is permanent


def test_the_default_is_for_errors_of_single_calls_only() -> None:
    with pytest.raises(GpuFailure), translate_errors(GpuFailure):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    with pytest.raises(SessionFailure), translate_errors(GpuFailure):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)


def test_text_and_bytes_are_text() -> None:
    assert decode("NVIDIA L4") == decode(b"NVIDIA L4") == "NVIDIA L4"

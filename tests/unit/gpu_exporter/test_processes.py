from types import SimpleNamespace
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

from gpu_exporter.processes import Processes


def process(pid: int, used: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


def not_supported(handle: Any) -> Any:
    del handle
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def compute(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Processes that compute; none uses graphics."""
    found: list[SimpleNamespace] = []
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: found)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetGraphicsRunningProcesses", not_supported)
    monkeypatch.setattr(pynvml, "nvmlSystemGetProcessName", lambda pid: f"/usr/bin/program{pid} --token secret")
    return found


def read() -> list[tuple[dict[str, str], float]]:
    return [(dict(sample.labels), sample.value) for sample in Processes().read(["gpu"])]


def test_names_have_neither_directory_nor_arguments(compute: list[SimpleNamespace]) -> None:
    compute.append(process(7, 100))
    assert read() == [({"pid": "7", "name": "program7"}, 100)]


def test_memory_that_is_not_known_is_left_out(compute: list[SimpleNamespace]) -> None:
    compute += [process(7, None), process(8, 1)]
    assert [labels["pid"] for labels, _ in read()] == ["8"]


def test_the_smallest_are_one_series(compute: list[SimpleNamespace]) -> None:
    compute += [process(pid, pid) for pid in range(1, 21)]
    samples = read()
    assert len(samples) == 17
    assert samples[-1] == ({"pid": "other", "name": "other"}, 1 + 2 + 3 + 4)


def test_a_process_that_computes_and_draws_is_counted_once(
    compute: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute.append(process(7, 100))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetGraphicsRunningProcesses", lambda _: [process(7, 120)])
    assert [value for _, value in read()] == [120]

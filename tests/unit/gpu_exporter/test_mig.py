from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

from gpu_exporter.mig import instances

# MIG device → name, GPU instance; the second slot is empty.
DEVICES = {
    0: ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", 1),
    2: ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", 1),
    3: (b"NVIDIA A100-SXM4-40GB MIG 1g.5gb", 9),
}


def device(gpu: Any, index: int) -> int:
    del gpu
    if index not in DEVICES:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    return index


@pytest.fixture
def partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", lambda _: (pynvml.NVML_DEVICE_MIG_ENABLE, 0))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxMigDeviceCount", lambda _: 4)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigDeviceHandleByIndex", device)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: DEVICES[handle][0])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetGpuInstanceId", lambda handle: DEVICES[handle][1])


@pytest.mark.usefixtures("partitioned")
def test_compute_instances_of_a_gpu_instance_are_one() -> None:
    found = instances("gpu")
    assert found is not None
    assert [(instance.handles, dict(instance.labels)) for instance in found] == [
        ((0, 2), {"GPU_I_PROFILE": "3g.20gb", "GPU_I_ID": "1"}),
        ((3,), {"GPU_I_PROFILE": "1g.5gb", "GPU_I_ID": "9"}),
    ]


def test_a_card_without_mig_is_not_partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_supported(gpu: Any) -> Any:
        del gpu
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", not_supported)
    assert instances("gpu") is None


def test_disabled_mig_is_not_partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", lambda _: (0, pynvml.NVML_DEVICE_MIG_ENABLE))
    assert instances("gpu") is None

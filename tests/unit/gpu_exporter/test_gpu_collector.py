from collections.abc import Sequence
from typing import Any

import pytest

from gpu_exporter import gpu_collector
from gpu_exporter.collector import CallCollector, Field
from gpu_exporter.errors import Failure, GpuFailure, SeriesFailure, SessionFailure
from gpu_exporter.gpu_collector import GpuCollector
from gpu_exporter.nvml import Gpu
from launcher.exposition import Metric

UTIL = Metric("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilisation (in %).")
FAN = Metric("fan", "gauge", "Fan (in %).")


class FakeNvml:
    """Shows `gpus`: an index → its GPU, a failure, or None for one of another container."""

    gpus: Sequence[Gpu | Failure | None] = ()
    closed = 0

    def count(self) -> int:
        return len(self.gpus)

    def gpu(self, index: int) -> Gpu | None:
        found = self.gpus[index]
        if isinstance(found, Failure):
            raise found
        return found

    def close(self) -> None:
        FakeNvml.closed += 1


class FakeListener:
    """Listens to nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def listen_to(self, gpus: object) -> None:
        pass

    def is_listening(self, gpu: Gpu) -> bool:
        return gpu.index == 0

    def hung(self) -> str | None:
        return None

    def stop(self) -> None:
        pass


def gpu(index: int) -> Gpu:
    return Gpu(index, handle=index, uuid=f"GPU-{index}", bus="00000000:00:03.0", name="NVIDIA L4", driver="580")


def unsupported(handle: Any) -> Any:
    raise SeriesFailure(f"NVML: Not Supported by {handle}")


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def collector(logged: list[str], monkeypatch: pytest.MonkeyPatch) -> GpuCollector:
    monkeypatch.setattr(gpu_collector, "Nvml", FakeNvml)
    monkeypatch.setattr(gpu_collector, "XidListener", FakeListener)
    monkeypatch.setattr(gpu_collector, "instances", lambda _: None)
    monkeypatch.setattr(FakeNvml, "closed", 0)
    collectors = (
        CallCollector(lambda handle: 50 + handle, Field(UTIL, int)),
        CallCollector(unsupported, Field(FAN, int)),
    )
    made = GpuCollector(collectors, "the-machine", logged.append, 1.0)
    monkeypatch.setattr(made._counters, "last", lambda _: 79)
    return made


def show(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu | Failure | None) -> None:
    monkeypatch.setattr(FakeNvml, "gpus", gpus)


def test_each_gpu_is_one_reading_with_its_labels(collector: GpuCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, gpu(0), None, gpu(2))
    snapshot = collector.snapshot()

    assert snapshot.failure is None
    assert [dict(reading.labels)["gpu"] for reading in snapshot.readings] == ["0", "2"]
    assert dict(snapshot.readings[0].labels)["Hostname"] == "the-machine"
    values = {sample.metric.name: sample.value for sample in snapshot.readings[0].samples}
    assert values == {"DCGM_FI_DEV_GPU_UTIL": 50, "DCGM_FI_DEV_XID_ERRORS": 79}
    assert [sample.metric for sample in snapshot.readings[1].samples] == [UTIL]  # its events cannot be listened to


def test_an_unsupported_call_is_logged_once(
    collector: GpuCollector, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, gpu(0))
    collector.snapshot()
    collector.snapshot()

    assert logged == ["GPU 0 (NVIDIA L4) does not give fan: NVML: Not Supported by 0"]


def test_a_lost_gpu_fails_the_collection_and_keeps_the_others(
    collector: GpuCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(monkeypatch, gpu(0), GpuFailure("NVML: GPU is lost"))
    snapshot = collector.snapshot()

    assert str(snapshot.failure) == "GPU 1: NVML: GPU is lost"
    assert len(snapshot.readings) == 1
    assert FakeNvml.closed == 0
    collector.snapshot()
    assert FakeNvml.closed == 1  # it is restarted after a failure


def test_a_session_failure_leaves_nothing(collector: GpuCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, gpu(0), SessionFailure("NVML: Uninitialized"))
    snapshot = collector.snapshot()

    assert (snapshot.readings, str(snapshot.failure)) == ((), "NVML: Uninitialized")


def test_no_gpu_at_all_is_a_failure(collector: GpuCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch)

    assert str(collector.snapshot().failure) == "NVML shows no GPU"


def test_a_gpu_that_answers_no_call_is_a_failure(collector: GpuCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, gpu(0))
    monkeypatch.setattr(collector, "_collectors", (CallCollector(unsupported, Field(FAN, int)),))

    assert isinstance(collector.snapshot().failure, GpuFailure)

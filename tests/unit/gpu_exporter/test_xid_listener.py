import ctypes
import queue
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

from gpu_exporter.nvml import Gpu
from gpu_exporter.xid_counters import TOTAL, XidCounters
from gpu_exporter.xid_listener import MonitoredGpu, XidListener

HANDLE = ctypes.c_void_p(4096)
GPU = Gpu(0, HANDLE, uuid="GPU-a", bus="00000000:00:03.0", name="NVIDIA L4", driver="580")
MONITORED = MonitoredGpu(GPU, (("gpu", "0"),))


class FakeNvml:
    """NVML's event calls: events come from a queue, and a wait blocks while `hang` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: queue.Queue[int] = queue.Queue()
        self.supported = pynvml.nvmlEventTypeXidCriticalError
        self.hang = threading.Event()
        self.resume = threading.Event()
        self.shutdowns = 0
        for name in ("nvmlInit", "nvmlEventSetCreate", "nvmlEventSetFree", "nvmlDeviceRegisterEvents"):
            monkeypatch.setattr(pynvml, name, lambda *_: None)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetSupportedEventTypes", lambda _: self.supported)
        monkeypatch.setattr(pynvml, "nvmlEventSetWait_v2", self._wait)
        monkeypatch.setattr(pynvml, "nvmlShutdown", self._shutdown)

    def _wait(self, events: Any, milliseconds: int) -> SimpleNamespace:
        del events
        if self.hang.is_set():
            self.resume.wait(60)
        try:
            return SimpleNamespace(eventData=self.events.get(timeout=milliseconds / 1000), device=HANDLE)
        except queue.Empty:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT) from None

    def _shutdown(self) -> None:
        self.shutdowns += 1


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml(monkeypatch)
    yield fake
    fake.resume.set()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def total(counters: XidCounters, xid: int) -> float:
    (reading,) = counters.readings()
    return next(s.value for s in reading.samples if s.metric is TOTAL and s.labels == (("xid", str(xid)),))


def test_an_event_is_counted_and_logged_once(nvml: FakeNvml) -> None:
    logged: list[str] = []
    counters = XidCounters()
    listener = XidListener(counters, logged.append, 20.0)
    listener.listen_to([MONITORED])
    assert listener.is_listening(GPU)
    for _ in range(2):
        nvml.events.put(79)
    until(nvml.events.empty)
    listener.stop()

    assert total(counters, 79) == 2
    assert counters.last("GPU-a") == 79
    assert logged == ["GPU 0 (NVIDIA L4): XID 79; further ones of this number are counted only"]
    assert not listener.is_listening(GPU)
    assert nvml.shutdowns == 1


def test_events_that_are_pending_at_the_end_are_counted(nvml: FakeNvml) -> None:
    counters = XidCounters()
    listener = XidListener(counters, lambda _: None, 20.0)
    listener.listen_to([MONITORED])
    nvml.events.put(48)
    listener.stop()

    assert counters.last("GPU-a") == 48


def test_a_card_without_events_is_not_asked_again(nvml: FakeNvml) -> None:
    nvml.supported = 0
    logged: list[str] = []
    listener = XidListener(XidCounters(), logged.append, 20.0)
    listener.listen_to([MONITORED])
    until(lambda: nvml.shutdowns == 1)
    listener.listen_to([MONITORED])

    assert not listener.is_listening(GPU)
    assert logged == ["GPU 0 (NVIDIA L4) does not give XID events: NVML: not among its events"]
    assert nvml.shutdowns == 1


def test_a_wait_that_hangs_is_reported_and_no_other_thread_starts(nvml: FakeNvml) -> None:
    nvml.hang.set()
    listener = XidListener(XidCounters(), lambda _: None, 0.2)
    listener.listen_to([MONITORED])
    until(lambda: listener.hung() is not None)
    listener.stop()
    listener.listen_to([MONITORED])

    assert listener.hung() == "NVML has not come back from waiting for events within 0.2 s"
    assert not listener.is_listening(GPU)

"""Listens for XID events in a thread of its own: NVML delivers each event once, to whoever waits for it."""

import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import Failure, SeriesFailure
from gpu_exporter.logs import DedupLogger
from gpu_exporter.nvml import Gpu, Handle, translate_errors
from gpu_exporter.xid_counters import XidCounters
from launcher.exposition import Label

_MAX_WAIT_S = 0.2  # how long the thread may take to notice that it should stop
_MAX_PENDING = 100  # events that are still fetched at the end: enough for any burst, and no endless loop
_XID = pynvml.nvmlEventTypeXidCriticalError


@dataclass(frozen=True, slots=True)
class MonitoredGpu:
    """A GPU whose events are counted, and the labels of its series."""

    gpu: Gpu
    labels: tuple[Label, ...]


class XidListener:
    """Counts the XID events of the GPUs. For the thread that reads the GPUs.

    Args:
        counters: where events are counted.
        log: takes a line for the operator.
        timeout_s: after this time without an answer NVML counts as hung.
    """

    def __init__(self, counters: XidCounters, log: Callable[[str], None], timeout_s: float) -> None:
        self._counters = counters
        self._log = DedupLogger(log)
        self._timeout_s = timeout_s
        self._current: _ListenerThread | None = None

    def listen_to(self, gpus: Sequence[MonitoredGpu]) -> None:
        """Listen for events of these GPUs, unless it already does; takes at most a quarter of `timeout_s`."""
        if self._current is not None and self._current.covers(gpus):
            return
        self.stop()
        if self._current is None:
            wait_s = min(_MAX_WAIT_S, self._timeout_s / 4)
            self._current = _ListenerThread(gpus, self._counters, self._log, wait_s)
            self._current.start(self._timeout_s / 4)

    def stop(self) -> None:
        """Shut NVML down; a thread that hangs is abandoned after half of `timeout_s`, and no other starts beside it."""
        if self._current is not None and self._current.stop(self._timeout_s / 2):
            self._current = None

    def is_listening(self, gpu: Gpu) -> bool:
        """Whether an event of this GPU would be counted now."""
        return self._current is not None and self.hung() is None and self._current.is_listening(gpu)

    def hung(self) -> str | None:
        """Why the thread counts as hung; None when it does not."""
        if self._current is not None and self._current.seconds_in_nvml() > _MAX_WAIT_S + self._timeout_s:
            return f"NVML has not come back from waiting for events within {self._timeout_s:g} s"
        return None


class _ListenerThread:
    """One set of events and its thread, which starts NVML for itself; both last until the thread leaves NVML."""

    def __init__(
        self, gpus: Sequence[MonitoredGpu], counters: XidCounters, log: Callable[[str], None], wait_s: float
    ) -> None:
        self._gpus = {monitored.gpu.uuid: monitored for monitored in gpus}
        self._counters = counters
        self._log = log
        self._wait_ms = int(wait_s * 1000)
        self._called_at = time.monotonic()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._by_handle: dict[int, MonitoredGpu] = {}  # by the address that NVML gives as their handle
        self._unsupported = False  # none of them has events
        self._thread = threading.Thread(target=self._run, name="xid-events", daemon=True)

    def start(self, timeout_s: float) -> None:
        self._thread.start()
        self._ready.wait(timeout_s)

    def stop(self, timeout_s: float) -> bool:
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def covers(self, gpus: Sequence[MonitoredGpu]) -> bool:
        """It listens for events of these GPUs, or knows that they have none."""
        known = {monitored.gpu.uuid for monitored in gpus} <= self._gpus.keys()
        return known and not self._stopping.is_set() and (self._unsupported or self._thread.is_alive())

    def is_listening(self, gpu: Gpu) -> bool:
        return self._thread.is_alive() and gpu.uuid in {each.gpu.uuid for each in self._by_handle.values()}

    def seconds_in_nvml(self) -> float:
        """Seconds since the thread called NVML; 0 when it has ended."""
        return time.monotonic() - self._called_at if self._thread.is_alive() else 0.0

    def _run(self) -> None:
        try:
            with translate_errors(), _event_set() as events:
                self._by_handle = dict(self._register(events))
                self._unsupported = not self._by_handle
                self._ready.set()
                if self._unsupported:
                    return
                while not self._stopping.is_set():
                    self._wait(events, self._wait_ms)
                for _ in range(_MAX_PENDING):
                    if not self._wait(events, 0):
                        break
        except Failure as failure:  # e.g. a lost GPU: the next snapshot finds out, and starts a new thread
            self._log(f"XID events cannot be waited for: {failure}")
        finally:
            self._ready.set()

    def _register(self, events: Any) -> Iterator[tuple[int, MonitoredGpu]]:
        for monitored in self._gpus.values():
            gpu = monitored.gpu
            try:
                with translate_errors():
                    if not pynvml.nvmlDeviceGetSupportedEventTypes(gpu.handle) & _XID:
                        raise SeriesFailure("NVML: not among its events")  # noqa: TRY301 -- handled as NVML's own error is
                    pynvml.nvmlDeviceRegisterEvents(gpu.handle, _XID, events)
            except SeriesFailure as failure:
                if failure.permanent:  # after an unknown error NVML wants the set freed
                    raise
                self._log(f"GPU {gpu.index} ({gpu.name}) does not give XID events: {failure}")
                continue
            self._counters.track(gpu.uuid, monitored.labels)
            yield _address(gpu.handle), monitored

    def _wait(self, events: Any, milliseconds: int) -> bool:
        self._called_at = time.monotonic()
        try:
            event = pynvml.nvmlEventSetWait_v2(events, milliseconds)
        except pynvml.NVMLError_Timeout:
            return False
        self._count(event)
        return True

    def _count(self, event: Any) -> None:
        xid, monitored = int(event.eventData), self._by_handle.get(_address(event.device))
        if monitored is None:  # never seen in practice: NVML gives the same handles
            self._log(f"XID {xid} of an unknown GPU, which is not counted")
            return
        gpu = monitored.gpu
        self._counters.add(gpu.uuid, xid, time.time())
        self._log(f"GPU {gpu.index} ({gpu.name}): XID {xid}; further ones of this number are counted only")


@contextlib.contextmanager
def _event_set() -> Iterator[Any]:
    pynvml.nvmlInit()
    try:
        events = pynvml.nvmlEventSetCreate()
        try:
            yield events
        finally:
            with contextlib.suppress(pynvml.NVMLError):  # it is freed because NVML does not work
                pynvml.nvmlEventSetFree(events)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _address(handle: Handle) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0

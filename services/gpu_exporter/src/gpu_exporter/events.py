"""Waiting for XID events, in a thread of its own: NVML hands them out once, to whoever waits."""

import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.errors import Failure, SeriesFailure
from gpu_exporter.metric import Label
from gpu_exporter.nvml import Gpu, Handle, translated
from gpu_exporter.once import Once
from gpu_exporter.xid import Ledger

_WAIT_SECONDS = 0.2  # how long the thread may take to see that it is not wanted any more
_MOST_LEFT = 100  # events that are still fetched at the end: enough for any burst, and no endless loop
_XID = pynvml.nvmlEventTypeXidCriticalError


@dataclass(frozen=True, slots=True)
class Watched:
    """A GPU whose events are wanted, and the labels of its series."""

    gpu: Gpu
    labels: tuple[Label, ...]


class Events:
    """Writes the XID events of the GPUs into a ledger. For the thread that reads the GPUs.

    Args:
        ledger: where they go.
        tell: takes a line for the operator.
        seconds: after this time without an answer NVML counts as hung.
    """

    def __init__(self, ledger: Ledger, tell: Callable[[str], None], seconds: float) -> None:
        self._ledger = ledger
        self._tell = Once(tell)
        self._seconds = seconds
        self._watch: _Watch | None = None

    def follow(self, gpus: Sequence[Watched]) -> None:
        """Begin to wait for events of these GPUs, unless that is being done; takes a quarter of `seconds` at most."""
        watch = self._watch
        if watch is not None and watch.serves(gpus):
            return
        self.release()
        if self._watch is None:
            self._watch = _Watch(gpus, self._ledger, self._tell, min(_WAIT_SECONDS, self._seconds / 4))
            self._watch.begin(self._seconds / 4)

    def release(self) -> None:
        """Let go of NVML; one that hangs is left alone after half of `seconds`, and nothing begins beside it."""
        if self._watch is not None and self._watch.end(self._seconds / 2):
            self._watch = None

    def hears(self, gpu: Gpu) -> bool:
        """Whether an event of this GPU would be seen now."""
        return self._watch is not None and self.hung() is None and self._watch.hears(gpu)

    def hung(self) -> str | None:
        """Why the thread does not come back from NVML, if it does not."""
        if self._watch is not None and self._watch.silent() > _WAIT_SECONDS + self._seconds:
            return f"NVML has not come back from waiting for events within {self._seconds:g} s"
        return None


class _Watch:
    """One set of events and its thread, which starts NVML for itself: it stays until the thread is out of it."""

    def __init__(self, gpus: Sequence[Watched], ledger: Ledger, tell: Callable[[str], None], seconds: float) -> None:
        self._gpus = {watched.gpu.uuid: watched for watched in gpus}
        self._ledger = ledger
        self._tell = tell
        self._milliseconds = int(seconds * 1000)
        self._called = time.monotonic()
        self._ready = threading.Event()
        self._unwanted = threading.Event()
        self._heard: dict[int, Watched] = {}  # by the address that NVML gives as their handle
        self._mute = False  # none of them has events
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def begin(self, seconds: float) -> None:
        self._thread.start()
        self._ready.wait(seconds)

    def end(self, seconds: float) -> bool:
        self._unwanted.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def serves(self, gpus: Sequence[Watched]) -> bool:
        """It waits for the events of these, or knows that there are none to be had."""
        known = {watched.gpu.uuid for watched in gpus} <= self._gpus.keys()
        return known and not self._unwanted.is_set() and (self._mute or self._thread.is_alive())

    def hears(self, gpu: Gpu) -> bool:
        return self._thread.is_alive() and gpu.uuid in {watched.gpu.uuid for watched in self._heard.values()}

    def silent(self) -> float:
        """Seconds since the thread went into NVML; 0 when it has ended."""
        return time.monotonic() - self._called if self._thread.is_alive() else 0.0

    def _run(self) -> None:
        try:
            with translated(), _event_set() as events:
                self._heard = dict(self._registered(events))
                self._mute = not self._heard
                self._ready.set()
                if self._mute:
                    return
                while not self._unwanted.is_set():
                    self._wait(events, self._milliseconds)
                for _ in range(_MOST_LEFT):
                    if not self._wait(events, 0):
                        break
        except Failure as failure:  # a lost GPU, for one: the next reading finds out, and begins anew
            self._tell(f"XID events cannot be waited for: {failure}")
        finally:
            self._ready.set()

    def _registered(self, events: Any) -> Iterator[tuple[int, Watched]]:
        for watched in self._gpus.values():
            gpu = watched.gpu
            try:
                with translated():
                    if not pynvml.nvmlDeviceGetSupportedEventTypes(gpu.handle) & _XID:
                        raise SeriesFailure("NVML: not among its events")  # noqa: TRY301 -- one way to be told
                    pynvml.nvmlDeviceRegisterEvents(gpu.handle, _XID, events)
            except SeriesFailure as failure:
                if failure.lasting:  # after an unknown error NVML wants the set freed
                    raise
                self._tell(f"GPU {gpu.index} ({gpu.name}) does not give XID events: {failure}")
                continue
            self._ledger.begin(gpu.uuid, watched.labels)
            yield _address(gpu.handle), watched

    def _wait(self, events: Any, milliseconds: int) -> bool:
        self._called = time.monotonic()
        try:
            event = pynvml.nvmlEventSetWait_v2(events, milliseconds)
        except pynvml.NVMLError_Timeout:
            return False
        self._note(event)
        return True

    def _note(self, event: Any) -> None:
        xid, watched = int(event.eventData), self._heard.get(_address(event.device))
        if watched is None:  # never seen; NVML gives the same handles
            self._tell(f"XID {xid} of an unknown GPU, which is not counted")
            return
        self._ledger.add(watched.gpu.uuid, xid, time.time())
        self._tell(
            f"GPU {watched.gpu.index} ({watched.gpu.name}): XID {xid}; further ones of this number are counted only"
        )


@contextlib.contextmanager
def _event_set() -> Iterator[Any]:
    pynvml.nvmlInit()
    try:
        events = pynvml.nvmlEventSetCreate()
        try:
            yield events
        finally:
            with contextlib.suppress(pynvml.NVMLError):  # it ends because NVML does not work
                pynvml.nvmlEventSetFree(events)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _address(handle: Handle) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0

"""Faults that are put into running parts, and taken out again. Each names the alerts that have to tell of it."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.integration.alerts.watch import Watch, wait
from tests.integration.gpu_exporter.exporter import Machine
from tests.support.engine import Engine
from tests.support.gateway import Gateway
from tests.support.mock import Mock, chat
from tests.support.program import frozen

_AT_ONCE = 12
WELL = "0.nvmlDeviceGetCurrentClocksEventReasons 0x4"  # held down by its power limit alone
MIB = 1024 * 1024


def _nothing() -> None:
    """Most faults need no more than to be there."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        alerts: those that tell of it.
        present: a context in which it is there.
        again: done again and again while it is there.
        well: done again and again after it.
    """

    alerts: tuple[str, ...]
    present: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    again: Callable[[], None] = field(default=_nothing)
    well: Callable[[], None] = field(default=_nothing)


def failing_requests(http: httpx.Client) -> Fault:
    """The engine answers 500."""

    def ask(times: int, **fields: Any) -> None:
        for _ in range(times):
            http.post("/v1/chat/completions", json=chat(max_tokens=4, **fields))

    return Fault(("ErrorsBurnFast",), again=lambda: ask(3, mock={"fault": "status:500"}), well=lambda: ask(3))


def late_streams(http: httpx.Client) -> Fault:
    """The first token comes after 2.6 s."""

    def ask(seconds: float) -> None:
        http.post("/v1/chat/completions", json=chat(stream=True, max_tokens=4, mock={"ttft_s": seconds}))

    def several(seconds: float) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(ask, [seconds] * _AT_ONCE))

    ask(0.0)  # a series begins with its first stream, which is no increase yet
    return Fault(("LatencyBurnsFast",), again=lambda: several(2.6), well=lambda: several(0.0))


def leaving_clients(http: httpx.Client) -> Fault:
    """Clients that leave after the first events."""

    def leave(_: int) -> None:
        slow = chat(stream=True, max_tokens=500, mock={"interval_s": 0.05})
        with http.stream("POST", "/v1/chat/completions", json=slow) as answer:
            next(answer.iter_lines())

    def several() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(leave, range(_AT_ONCE)))

    return Fault(("ClientsLeave",), again=several)


def hanging_engine(mock: Mock, watch: Watch) -> Fault:
    """Requests that stop after a few tokens, and others behind them, in an engine that has worked before."""

    def work() -> None:
        body = chat(max_tokens=500, mock={"interval_s": 0.001})
        httpx.post(f"{mock.url}/v1/chat/completions", json=body, trust_env=False, timeout=30).raise_for_status()

    best = 'max_over_time(rate(vllm:generation_tokens_total{job="vllm"}[3s])[60s:500ms]) > 10'

    @contextlib.contextmanager
    def present() -> Iterator[None]:
        assert wait(lambda: bool(watch.ask(best)), 60, work, 0.0) is not None
        with contextlib.ExitStack() as exits:
            for _ in range(3):
                client = exits.enter_context(httpx.Client(trust_env=False, timeout=60))
                body = chat(stream=True, max_tokens=50, mock={"fault": "stall:3"})
                exits.enter_context(client.stream("POST", f"{mock.url}/v1/chat/completions", json=body))
            mock.change(waiting=20)
            yield
            mock.change(waiting=0)

    return Fault(("EngineStalled", "EngineQueueLong", "OutputCollapsed"), present)


def thrashing_cache(mock: Mock) -> Fault:
    """Preemptions, one after the other."""
    count = 0

    def preempt() -> None:
        nonlocal count
        count += 5
        mock.change(preemptions=count)

    return Fault(("KvCacheThrashes",), again=preempt)


def hot_and_full_gpu(machine: Machine) -> Fault:
    """Heat holds the clock down, and hardly any memory is free."""
    memory = f"0.nvmlDeviceGetMemoryInfo_v2 {23034 * MIB} {455 * MIB} {300 * MIB} {22279 * MIB}"
    return Fault(
        ("GpuThrottled", "GpuMemoryLow"),
        _shown(machine, "0.nvmlDeviceGetCurrentClocksEventReasons 0x44", memory),
    )


def lost_gpu(machine: Machine) -> Fault:
    """The GPU falls off the bus."""
    return Fault(("GpuLost",), _shown(machine, "0.* error 15"))


def bus_error(machine: Machine) -> Fault:
    """The driver tells of XID 79, once."""

    @contextlib.contextmanager
    def present() -> Iterator[None]:
        machine.xid(79)
        yield

    return Fault(("GpuXid",), present)


def _shown(machine: Machine, *lines: str) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def present() -> Iterator[None]:
        machine.now(*lines, WELL)
        yield
        machine.now(WELL)

    return present


def frozen_engine(engine: Engine) -> Fault:
    """The engine's process stops where it is; its port stays open."""

    return Fault(("TargetDown",), lambda: frozen(engine.engine_pid()))


def starved_gateway(gateway: Gateway) -> Fault:
    """The gateway's worker gets a fifth of the time."""

    @contextlib.contextmanager
    def present() -> Iterator[None]:
        (worker,) = gateway.program.children()
        over = threading.Event()

        def starve() -> None:
            while not over.is_set():
                os.kill(worker, signal.SIGSTOP)
                time.sleep(0.8)
                os.kill(worker, signal.SIGCONT)
                time.sleep(0.2)

        thread = threading.Thread(target=starve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return Fault(("EventLoopLags",), present)

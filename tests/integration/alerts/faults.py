"""Faults that are injected into running parts and removed again, each with the alerts that must fire."""

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
from tests.integration.alerts.compressed_prometheus import CompressedPrometheus, wait
from tests.integration.gpu_exporter.exporter import Machine
from tests.support.engine import Engine
from tests.support.fake_exporter import FakeStack
from tests.support.gateway import Gateway
from tests.support.mock import Mock, chat
from tests.support.program import frozen

from observability import settings

_CONCURRENCY = 12
HEALTHY = "0.nvmlDeviceGetCurrentClocksEventReasons 0x4"  # throttled by its power limit alone
MIB = 1024 * 1024


def _no_action() -> None:
    """Most faults need nothing besides their context."""


@dataclass
class Fault:
    """A fault.

    Attributes:
        alerts: those that must fire.
        injected: a context in which the fault is present.
        repeat: repeated while the fault is present.
        recover: repeated after the fault.
    """

    alerts: tuple[str, ...]
    injected: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    repeat: Callable[[], None] = field(default=_no_action)
    recover: Callable[[], None] = field(default=_no_action)


def failing_requests(http: httpx.Client) -> Fault:
    """The engine answers 500."""

    def ask(times: int, **fields: Any) -> None:
        for _ in range(times):
            http.post("/v1/chat/completions", json=chat(max_tokens=4, **fields))

    return Fault(
        ("AvailabilityBudgetBurnFast",), repeat=lambda: ask(3, mock={"fault": "status:500"}), recover=lambda: ask(3)
    )


def late_streams(http: httpx.Client) -> Fault:
    """The first token comes after 2.6 s."""

    def ask(seconds: float) -> None:
        http.post("/v1/chat/completions", json=chat(stream=True, max_tokens=4, mock={"ttft_s": seconds}))

    def several(seconds: float) -> None:
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            list(pool.map(ask, [seconds] * _CONCURRENCY))

    ask(0.0)  # the first stream creates the series, which is no increase yet
    return Fault(("LatencyBudgetBurnFast", "ModelTtftHigh"), repeat=lambda: several(2.6), recover=lambda: several(0.0))


def slow_streams(http: httpx.Client) -> Fault:
    """Each output token takes 150 ms."""

    def ask(seconds: float) -> None:
        http.post("/v1/chat/completions", json=chat(stream=True, max_tokens=8, mock={"interval_s": seconds}))

    def several(seconds: float) -> None:
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            list(pool.map(ask, [seconds] * _CONCURRENCY))

    return Fault(("ModelTpotHigh",), repeat=lambda: several(0.15), recover=lambda: several(0.0))


def wrong_keys(http: httpx.Client) -> Fault:
    """A client with a wrong key that does not give up."""

    def ask() -> None:
        for _ in range(40):
            assert http.get("/v1/models", headers={"authorization": "Bearer wrong"}).status_code == 401

    return Fault(("AuthenticationFailuresHigh",), repeat=ask)


def cancelling_clients(http: httpx.Client) -> Fault:
    """Clients that cancel after the first events."""

    def cancel(_: int) -> None:
        slow = chat(stream=True, max_tokens=500, mock={"interval_s": 0.05})
        with http.stream("POST", "/v1/chat/completions", json=slow) as answer:
            next(answer.iter_lines())

    def several() -> None:
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            list(pool.map(cancel, range(_CONCURRENCY)))

    return Fault(("HighCancellationRate",), repeat=several)


def stalled_engine(mock: Mock, prometheus: CompressedPrometheus) -> Fault:
    """Requests that stop after a few tokens, and others queued behind them, in an engine that has worked before."""

    def work() -> None:
        body = chat(max_tokens=500, mock={"interval_s": 0.001})
        httpx.post(f"{mock.url}/v1/chat/completions", json=body, trust_env=False, timeout=30).raise_for_status()

    best = 'max_over_time(rate(vllm:generation_tokens_total{job="vllm"}[3s])[60s:500ms]) > 10'

    @contextlib.contextmanager
    def injected() -> Iterator[None]:
        assert wait(lambda: bool(prometheus.ask(best)), 60, work, 0.0) is not None
        with contextlib.ExitStack() as exits:
            for _ in range(3):
                client = exits.enter_context(httpx.Client(trust_env=False, timeout=60))
                body = chat(stream=True, max_tokens=50, mock={"fault": "stall:3"})
                exits.enter_context(client.stream("POST", f"{mock.url}/v1/chat/completions", json=body))
            mock.change(waiting=20)
            yield
            mock.change(waiting=0)

    return Fault(("EngineStalled", "EngineQueueDepthHigh", "EngineThroughputDegraded"), injected)


def preempting_engine(mock: Mock) -> Fault:
    """Repeated preemptions."""
    count = 0

    def preempt() -> None:
        nonlocal count
        count += 5
        mock.change(preemptions=count)

    return Fault(("KvCachePreemptions",), repeat=preempt)


def hot_and_full_gpu(machine: Machine) -> Fault:
    """Heat throttles the GPU, and hardly any memory is free."""
    memory = f"0.nvmlDeviceGetMemoryInfo_v2 {23034 * MIB} {455 * MIB} {300 * MIB} {22279 * MIB}"
    return Fault(
        ("GpuThrottled", "GpuMemoryLow"),
        _reported(machine, "0.nvmlDeviceGetCurrentClocksEventReasons 0x44", memory),
    )


def lost_gpu(machine: Machine) -> Fault:
    """The GPU falls off the bus."""
    return Fault(("GpuLost",), _reported(machine, "0.* error 15"))


def xid_error(machine: Machine) -> Fault:
    """The driver reports XID 79, once."""

    @contextlib.contextmanager
    def injected() -> Iterator[None]:
        machine.xid(79)
        yield

    return Fault(("GpuXidError",), injected)


def _reported(machine: Machine, *lines: str) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def injected() -> Iterator[None]:
        machine.now(*lines, HEALTHY)
        yield
        machine.now(HEALTHY)

    return injected


def frozen_engine(engine: Engine) -> Fault:
    """The engine's process is stopped; its port stays open."""

    return Fault(("TargetDown",), lambda: frozen(engine.engine_pid()))


def lost_model(mock: Mock) -> Fault:
    """The only engine of a model is stopped, while another serves other models."""
    return Fault(("ModelUnavailable",), lambda: frozen(mock.program.pid))


def restarting_engine(stack: FakeStack) -> Fault:
    """An engine is started again and again."""

    def restart() -> None:
        stack.starts += 1

    return Fault(("EngineRestarting",), repeat=restart)


def failing_nginx(stack: FakeStack) -> Fault:
    """nginx answers 502, since no gateway does."""

    def fail() -> None:
        stack.nginx_errors += 10

    return Fault(("NginxServerErrors",), repeat=fail)


def wrong_clock(stack: FakeStack) -> Fault:
    """The clock of the machine is ahead."""
    return Fault(("ClockSkew",), lambda: _during(stack, "clock_ahead_s", 599.0))


def stale_gpu_metrics(stack: FakeStack) -> Fault:
    """An exporter does not read its GPUs any more."""
    return Fault(("GpuMetricsStale",), lambda: _during(stack, "gpu_age_s", 120.0))


def slow_metrics_page(stack: FakeStack) -> Fault:
    """A metrics page takes longer than Prometheus waits."""
    return Fault(("ScrapeTimeout",), lambda: _during(stack.grafana, "delay_s", settings.SCRAPE_TIMEOUT_SECONDS + 0.5))


@contextlib.contextmanager
def _during(part: object, name: str, value: float) -> Iterator[None]:
    before = getattr(part, name)
    setattr(part, name, value)
    yield
    setattr(part, name, before)


def starved_gateway(gateway: Gateway) -> Fault:
    """The gateway's worker gets a fifth of the CPU time."""

    @contextlib.contextmanager
    def injected() -> Iterator[None]:
        (worker,) = gateway.program.children()
        stopped = threading.Event()

        def starve() -> None:
            while not stopped.is_set():
                os.kill(worker, signal.SIGSTOP)
                time.sleep(0.8)
                os.kill(worker, signal.SIGCONT)
                time.sleep(0.2)

        thread = threading.Thread(target=starve)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    return Fault(("EventLoopLagHigh",), injected)

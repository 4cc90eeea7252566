"""Faults of the native stack, each with its end: a part that is down, GPU errors, failing requests.

All are real but three, for which fake exporters stand beside the real ones: a wrong clock, nginx's own responses, and a
GPU exporter that reads nothing.
"""

import contextlib
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import httpx
from tests.support.engine import Engine
from tests.support.fake_exporter import FakeStack
from tests.support.gateway import Gateway
from tests.support.grafana.stack import FaultyGateway, Stack

_XID = 79  # "GPU has fallen off the bus"
_LOW_MEMORY = "0.nvmlDeviceGetMemoryInfo_v2 24152899584 477102180 209715200 23466082204"
_TOO_HOT = "0.nvmlDeviceGetCurrentClocksEventReasons 0x40"  # hw_thermal
_THREADS = 12
_CLOCK_AHEAD_S, _GPU_AGE_S = 599.0, 120.0
_KILL_EVERY_S = 1.0


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: for the results.
        alert: must fire, and resolve when the fault ends.
        begin: injects it.
        end: removes it.
    """

    name: str
    alert: str
    begin: Callable[[], object]
    end: Callable[[], object]


class Faults:
    """All of them. Use as a context manager.

    Args:
        stack: its parts fail; its load should have stopped, so that ratios cover only the faulty requests.
        failing: a gateway with a mock engine, for failing requests and for wrong keys.
        slow: another, for requests that are slow or cancelled.
        lost: another, whose engine is lost.
        fakes: exporters of what no real part does on demand.
    """

    def __init__(
        self, stack: Stack, failing: FaultyGateway, slow: FaultyGateway, lost: FaultyGateway, fakes: FakeStack
    ) -> None:
        self._stack, self._lost, self._fakes = stack, lost, fakes
        late, long = {"ttft_s": 4}, {"interval_s": 0.2}
        self._failing = Clients(failing.gateway, failing.chat(mock={"fault": "status:500"}))
        self._wrong_key = Clients(failing.gateway, failing.chat(), key="wrong")
        self._late = Clients(slow.gateway, slow.chat(stream=True, mock=late))
        self._slow = Clients(slow.gateway, slow.chat(stream=True, max_tokens=8, mock=long))
        self._cancelling = Clients(slow.gateway, slow.chat(stream=True, mock=late), timeout_s=0.5)
        self._killer, self._bad_gateway = Killer(stack.engines[0]), BadGateway(fakes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        clients = (self._failing, self._wrong_key, self._late, self._slow, self._cancelling)
        for repeated in (*clients, self._killer, self._bad_gateway):
            repeated.end()

    def of_parts_and_gpu(self) -> tuple[Fault, ...]:
        """Faults that do not hide one another: an exporter, a certificate, the GPU, clients."""
        stack = self._stack
        return (
            Fault("node-exporter is stopped", "TargetDown", stack.node_exporter.stop, stack.restart_node_exporter),
            Fault(
                "the certificate expires in three days",
                "CertificateExpiringSoon",
                lambda: stack.serve_certificate(days=3),
                lambda: stack.serve_certificate(days=90),
            ),
            Fault(
                "clients cancel after half a second",
                "HighCancellationRate",
                self._cancelling.begin,
                self._cancelling.end,
            ),
            Fault(
                "the GPU has 200 MiB left, and is too hot",
                "GpuMemoryLow",
                lambda: stack.gpu.fault(_LOW_MEMORY, _TOO_HOT),
                stack.gpu.fault,
            ),
            Fault("the same", "GpuThrottled", _nothing, _nothing),
            Fault(f"XID {_XID}", "GpuXidError", lambda: stack.gpu.xid(_XID), _nothing),
        )

    def of_requests_and_endpoint(self) -> tuple[Fault, ...]:
        """Faults that clients notice, and a lost GPU."""
        stack = self._stack
        return (
            Fault("the engine answers 500", "AvailabilityBudgetBurnFast", self._failing.begin, self._failing.end),
            Fault("the first token takes 4 s", "LatencyBudgetBurnFast", self._late.begin, self._late.end),
            Fault("the same", "ModelTtftHigh", _nothing, _nothing),
            Fault("nginx is stopped", "EndpointDown", stack.nginx.stop, stack.restart_nginx),
            Fault("the GPU is lost", "GpuLost", lambda: stack.gpu.fault("0.* error 15"), stack.gpu.fault),
        )

    def of_models_and_machines(self) -> tuple[Fault, ...]:
        """Faults of one engine or model of several, and of a machine."""
        fakes, lost = self._fakes, self._lost.mock.program
        stop, go_on = (lambda: lost.send(signal.SIGSTOP)), (lambda: lost.send(signal.SIGCONT))
        return (
            Fault("the only engine of a model is stopped", "ModelUnavailable", stop, go_on),
            Fault("each output token takes 0.2 s", "ModelTpotHigh", self._slow.begin, self._slow.end),
            Fault(
                "llama.cpp is killed whenever it has started", "EngineRestarting", self._killer.begin, self._killer.end
            ),
            Fault("a client's key is wrong", "AuthenticationFailuresHigh", self._wrong_key.begin, self._wrong_key.end),
            Fault(
                "nginx answers 502 itself (fake)", "NginxServerErrors", self._bad_gateway.begin, self._bad_gateway.end
            ),
            Fault(
                "the clock is ten minutes ahead (fake)", "ClockSkew",
                lambda: setattr(fakes, "clock_ahead_s", _CLOCK_AHEAD_S), lambda: setattr(fakes, "clock_ahead_s", 0.0),
            ),
            Fault(
                "the GPUs are not read (fake)", "GpuMetricsStale",
                lambda: setattr(fakes, "gpu_age_s", _GPU_AGE_S), lambda: setattr(fakes, "gpu_age_s", 0.0),
            ),
        )  # fmt: skip

    def of_prometheus(self) -> tuple[Fault, ...]:
        """Prometheus itself is down."""
        stack = self._stack
        return (Fault("Prometheus is stopped", "TargetDown", stack.prometheus.stop, stack.prometheus.start),)


def _nothing() -> None:
    """Of a fault that another begins or ends, or that ends by itself."""


class Repeated(ABC):
    """Threads that do the same again and again, until `end`."""

    pause_s, threads = 0.5, 1

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.threads)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self.pause_s):
            self.once()

    @abstractmethod
    def once(self) -> None:
        """What is repeated."""


class Clients(Repeated):
    """Clients that repeat the same request.

    Args:
        gateway: receives the requests.
        body: of the requests.
        timeout_s: after which they cancel.
        key: theirs; the gateway's own without it.
    """

    threads = _THREADS

    def __init__(self, gateway: Gateway, body: dict[str, Any], timeout_s: float = 30, key: str = "") -> None:
        super().__init__()
        headers = {"authorization": f"Bearer {key or gateway.key}"}
        self._body = body
        self._http = httpx.Client(base_url=gateway.url, headers=headers, timeout=timeout_s, trust_env=False)

    def end(self) -> None:
        super().end()
        self._http.close()

    def once(self) -> None:
        with contextlib.suppress(httpx.TransportError):
            self._http.post("/v1/chat/completions", json=self._body)


class Killer(Repeated):
    """Kills an engine whenever its launcher has started it."""

    pause_s = _KILL_EVERY_S

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._program = engine.program

    def once(self) -> None:
        for pid in self._program.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class BadGateway(Repeated):
    """nginx answers 502 itself, since no gateway does."""

    def __init__(self, fakes: FakeStack) -> None:
        super().__init__()
        self._fakes = fakes

    def once(self) -> None:
        self._fakes.nginx_errors += 1

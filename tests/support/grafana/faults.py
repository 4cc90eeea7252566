"""Real faults of the native stack, each with its end: a part that is down, GPU errors, failing requests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import httpx
from tests.support.gateway import Gateway
from tests.support.grafana.stack import Stack
from tests.support.mock import chat

_XID = 79  # "GPU has fallen off the bus"
_LOW_MEMORY = "0.nvmlDeviceGetMemoryInfo_v2 24152899584 477102180 209715200 23466082204"
_TOO_HOT = "0.nvmlDeviceGetCurrentClocksEventReasons 0x40"  # hw_thermal
_THREADS = 12


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
        failing: a gateway with a mock engine, for failing requests.
        slow: another, for slow requests and for cancellations.
    """

    def __init__(self, stack: Stack, failing: Gateway, slow: Gateway) -> None:
        self._stack = stack
        self._failing = Clients(failing, chat(mock={"fault": "status:500"}))
        self._slow = Clients(slow, chat(stream=True, mock={"ttft_s": 4}))
        self._cancelling = Clients(slow, chat(stream=True, mock={"ttft_s": 4}), timeout_s=0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for clients in (self._failing, self._slow, self._cancelling):
            clients.end()

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
            Fault("the same", "GpuThrottled", lambda: None, lambda: None),
            Fault(f"XID {_XID}", "GpuXidError", lambda: stack.gpu.xid(_XID), lambda: None),
        )

    def of_requests_and_endpoint(self) -> tuple[Fault, ...]:
        """Faults that clients notice, and a lost GPU."""
        stack = self._stack
        return (
            Fault("the engine answers 500", "AvailabilityBudgetBurnFast", self._failing.begin, self._failing.end),
            Fault("the first token takes 4 s", "LatencyBudgetBurnFast", self._slow.begin, self._slow.end),
            Fault("nginx is stopped", "EndpointDown", stack.nginx.stop, stack.restart_nginx),
            Fault("the GPU is lost", "GpuLost", lambda: stack.gpu.fault("0.* error 15"), stack.gpu.fault),
        )

    def of_prometheus(self) -> tuple[Fault, ...]:
        """Prometheus itself is down."""
        stack = self._stack
        return (Fault("Prometheus is stopped", "TargetDown", stack.prometheus.stop, stack.prometheus.start),)


class Clients:
    """Clients that repeat the same request.

    Args:
        gateway: receives the requests.
        body: of the requests.
        timeout_s: after which they cancel.
    """

    def __init__(self, gateway: Gateway, body: dict[str, Any], timeout_s: float = 30) -> None:
        self._gateway, self._body, self._timeout_s = gateway, body, timeout_s
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        headers = {"authorization": f"Bearer {self._gateway.key}"}
        with httpx.Client(
            base_url=self._gateway.url, headers=headers, timeout=self._timeout_s, trust_env=False
        ) as http:
            while not self._stopped.wait(0.5):
                try:
                    http.post("/v1/chat/completions", json=self._body)
                except httpx.TransportError:
                    continue

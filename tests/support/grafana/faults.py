"""Faults that are really there: a part that is down, a GPU that says so, requests that fail; each with its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import httpx
from tests.support.gateway import Gateway
from tests.support.grafana.stack import Stack
from tests.support.mock import chat

_XID = 79  # "GPU has fallen off the bus"
_LITTLE_MEMORY = "0.nvmlDeviceGetMemoryInfo_v2 24152899584 477102180 209715200 23466082204"
_TOO_HOT = "0.nvmlDeviceGetCurrentClocksEventReasons 0x40"  # hw_thermal
_THREADS = 12


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: for the page of results.
        alert: that must fire, and be over when the fault is.
        begin: makes it happen.
        end: makes it good again.
    """

    name: str
    alert: str
    begin: Callable[[], object]
    end: Callable[[], object]


class Faults:
    """All of them. Use as a context manager.

    Args:
        stack: whose parts fail; its own clients should have left, so that shares are those of the faulty requests.
        failing: a gateway before a mock engine, for requests that fail.
        slow: another, for requests that are slow, and for clients that leave.
    """

    def __init__(self, stack: Stack, failing: Gateway, slow: Gateway) -> None:
        self._stack = stack
        self._failing = Clients(failing, chat(mock={"fault": "status:500"}))
        self._slow = Clients(slow, chat(stream=True, mock={"ttft_s": 4}))
        self._leaving = Clients(slow, chat(stream=True, mock={"ttft_s": 4}), patience_s=0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for clients in (self._failing, self._slow, self._leaving):
            clients.end()

    def of_parts_and_gpu(self) -> tuple[Fault, ...]:
        """Faults that do not hide one another: of an exporter, a certificate, a GPU, and of clients."""
        stack = self._stack
        return (
            Fault("node-exporter is ended", "TargetDown", stack.node_exporter.stop, stack.restart_node_exporter),
            Fault(
                "the certificate ends in three days",
                "CertificateExpires",
                lambda: stack.serve_certificate(days=3),
                lambda: stack.serve_certificate(days=90),
            ),
            Fault("clients leave after half a second", "ClientsLeave", self._leaving.begin, self._leaving.end),
            Fault(
                "the GPU has 200 MiB left, and is too hot",
                "GpuMemoryLow",
                lambda: stack.gpu.fault(_LITTLE_MEMORY, _TOO_HOT),
                stack.gpu.fault,
            ),
            Fault("the same", "GpuThrottled", lambda: None, lambda: None),
            Fault(f"XID {_XID}", "GpuXid", lambda: stack.gpu.xid(_XID), lambda: None),
        )

    def of_requests_and_door(self) -> tuple[Fault, ...]:
        """Faults of what clients get, and of a whole GPU."""
        stack = self._stack
        return (
            Fault("the engine answers 500", "ErrorsBurnFast", self._failing.begin, self._failing.end),
            Fault("the first token takes 4 s", "LatencyBurnsFast", self._slow.begin, self._slow.end),
            Fault("nginx is ended", "FrontDoorShut", stack.nginx.stop, stack.restart_nginx),
            Fault("the GPU is lost", "GpuLost", lambda: stack.gpu.fault("0.* error 15"), stack.gpu.fault),
        )

    def of_prometheus(self) -> tuple[Fault, ...]:
        """That nothing is measured any more."""
        stack = self._stack
        return (Fault("Prometheus is ended", "TargetDown", stack.prometheus.stop, stack.prometheus.start),)


class Clients:
    """Clients that all ask the same, again and again.

    Args:
        gateway: who is asked.
        body: what.
        patience_s: after so long they leave.
    """

    def __init__(self, gateway: Gateway, body: dict[str, Any], patience_s: float = 30) -> None:
        self._gateway, self._body, self._patience_s = gateway, body, patience_s
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        headers = {"authorization": f"Bearer {self._gateway.key}"}
        with httpx.Client(
            base_url=self._gateway.url, headers=headers, timeout=self._patience_s, trust_env=False
        ) as http:
            while not self._over.wait(0.5):
                try:
                    http.post("/v1/chat/completions", json=self._body)
                except httpx.TransportError:
                    continue

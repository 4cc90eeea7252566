"""The mock engine as it is run, in a process of its own, and small clients that hide nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 5.0


@dataclass
class Mock:
    """A running mock engine."""

    port: int
    http: httpx.Client

    def truth(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/mock").json()
        return answer

    def change(self, **patch: Any) -> httpx.Response:
        return self.http.post("/mock", json=patch)

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask until the truth is as wanted; the last answer shows in the failure."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(truth := self.truth()):
            assert time.monotonic() < deadline, truth
            time.sleep(0.01)
        return truth

    def chat(self, **fields: Any) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=body(**fields))

    def connect(self, **fields: Any) -> socket.socket:
        """Send a chat request over a socket of one's own."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.sendall(raw(**fields))
        return connection


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "mock", "messages": [{"role": "user", "content": "one two three"}], **fields}


def raw(**fields: Any) -> bytes:
    request = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions", json=body(**fields))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + request.content


def start_mock(*options: str) -> Iterator[Mock]:
    command = [sys.executable, "-m", "mock_engine", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as http:
                yield Mock(port, http)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    assert process.returncode == 0


@pytest.fixture(scope="session")
def running_mock() -> Iterator[Mock]:
    yield from start_mock()


@pytest.fixture
def guarded_mock() -> Iterator[Mock]:
    """A mock engine with every option of its command line."""
    yield from start_mock("--key", "made-up", "--model", "a", "--model", "b", "--owned-by", "llamacpp")


@pytest.fixture
def mock(running_mock: Mock) -> Mock:
    """A mock engine that has seen nothing and behaves well."""
    usual = {"models": ["mock"], "owned_by": "vllm", "health": 200, "fault": None, "probe_fault": None}
    usual |= {"path_faults": {}, "ttft_s": 0, "interval_s": 0, "tokens": 16, "max_model_len": 8192}
    usual |= {"running": None, "waiting": 0, "kv_cache_usage": 0}
    assert running_mock.change(**usual).status_code == 200
    running_mock.wait_for(lambda truth: not truth["running"])
    running_mock.change(reset=True)
    return running_mock

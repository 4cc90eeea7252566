"""A response of 200 MB through a gateway: how much memory it takes, and whether other requests wait meanwhile."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support.gateway import Gateway
from tests.support.http.message import encode_request
from tests.support.program import HOST
from tests.support.services import Services

EMBEDDINGS = "/v1/embeddings"
_MIB = 1_048_576
_ROW = json.dumps({"object": "embedding", "index": 0, "embedding": [round(i / 1536, 8) for i in range(1536)]}).encode()
_ROWS = 205_000_000 // (len(_ROW) + 1)
_HEAD, _TAIL = b'{"object":"list","data":[', b'],"usage":{"prompt_tokens":7,"total_tokens":7}}'
_SIZE = len(_HEAD) + _ROWS * (len(_ROW) + 1) - 1 + len(_TAIL)


class _Embedder(BaseHTTPRequestHandler):
    """A fake engine whose embeddings are very long."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        models = {"data": [{"id": "mock", "owned_by": "vllm"}]}
        self._send(json.dumps(models).encode() if self.path == "/v1/models" else b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path != EMBEDDINGS:
            self._send(b'{"choices":[]}')
            return
        self.send_response(200)
        self.send_header("content-length", str(_SIZE))
        self.end_headers()
        self.wfile.write(_HEAD)
        for number in range(_ROWS):
            self.wfile.write(_ROW + (b"," if number < _ROWS - 1 else b""))
        self.wfile.write(_TAIL)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def embedder() -> Iterator[str]:
    server = ThreadingHTTPServer((HOST, 0), _Embedder)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"embedder=http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def peak_memory(pid: int) -> float:
    """The peak resident memory of a process since the last call, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")  # resets the peak
    return peak


def fetch(gateway: Gateway) -> int:
    """Requests the embeddings; returns the number of bytes received, head included. None of them is kept."""
    received = 0
    with socket.create_connection((HOST, gateway.port), timeout=120) as connection:
        connection.sendall(
            encode_request(
                EMBEDDINGS, {"model": "mock", "input": "x"}, key=gateway.key, headers={"connection": "close"}
            )
        )
        while data := connection.recv(_MIB):
            received += len(data)
    return received


def test_a_response_of_200_mb_takes_little_memory_and_is_counted(
    services: Services, embedder: str, measured: Callable[[str], None]
) -> None:
    gateway = services.gateway(embedder)
    (worker,) = gateway.program.children()
    with gateway.http as http:
        assert http.get("/livez").is_success
    before = peak_memory(worker)
    cpu = _cpu_seconds(worker)
    slowest, done = 0.0, threading.Event()

    def poll() -> None:
        nonlocal slowest
        with gateway.http as http:
            while not done.is_set():
                began = time.monotonic()
                http.get("/livez")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.02)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        received = fetch(gateway)
    finally:
        done.set()
        thread.join()
    peak = peak_memory(worker)
    measured(
        f"a plain response of {_SIZE / 1e6:.0f} MB: resident memory {before:.0f} -> {peak:.0f} MiB at its peak, "
        f"{_cpu_seconds(worker) - cpu:.2f} s of CPU, the slowest /livez meanwhile {slowest * 1000:.0f} ms"
    )
    assert received > _SIZE
    assert peak - before < 32
    assert gateway.tokens("mock") == {"input": 7}
    assert gateway.scrape().total("gateway_requests_total", route=EMBEDDINGS, outcome="ok", code="200") == 1


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100

"""What a request costs the gateway's own code: its calls by part, which no load changes, and its CPU time.

    python benchmarks/hot_path.py               a plain request, and an event of a stream
    python benchmarks/hot_path.py --json        the same as JSON, without the CPU time

Requests go through a worker's own objects, from the bytes of a client's connection to those of the engine's and back,
on transports without sockets. What uvloop and the kernel take beside that is not in these figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import hashlib
import math
import os
import pstats
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import uvloop

from gateway.app import create_app
from gateway.server.connection import Connection as ClientConnection
from gateway.server.limits import Limits
from gateway.telemetry.multiprocess import slots
from gateway.upstream.connection import Connection as EngineConnection

MICRO = 1_000_000
REQUESTS = 60  # of a batch, so short that some of them are not interrupted on a busy machine
BATCHES = 60
EVENTS = 50  # of a stream
KEY = "key-of-the-hot-path"
# Parts by what is in the path of their modules; the first that matches counts.
PARTS = {
    "request: read and parsed": ("server/reader", "server/connection", "server/cycles"),
    "response: written": ("server/relayed", "flow_control"),
    "connection to the engine": ("gateway/upstream/",),
    "log line": ("telemetry/logs", "telemetry/log_writer", "threading.py"),
    "metrics and record": ("gateway/telemetry/",),
    "API key": ("policies/keys",),
    "JSON and events": ("gateway/dialects/",),
    "engine: choice, attempt, cost": ("gateway/engines/", "dispatch", "attempt", "gateway/cost/", "retry_budget"),
    "coroutine and deadline": ("relay.py", "gateway_app", "exchange", "deadline", "cors", "uploads", "asyncio/"),
}


class Transport(asyncio.Transport):
    """A transport without a socket; what is written is answered by a callback."""

    def __init__(self, answer: Any) -> None:
        self._sockets = socket.socketpair()  # both stay open, and quiet
        super().__init__({"socket": self._sockets[0], "sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self._answer = answer

    def write(self, data: Any) -> None:
        """See asyncio."""
        self._answer(data)

    def is_closing(self) -> bool:
        """See asyncio."""
        return False

    def pause_reading(self) -> None:
        """See asyncio; there is nothing to pause."""

    def resume_reading(self) -> None:
        """See asyncio; there is nothing to resume."""


class Owner:
    """A server as its connections see it (`gateway.server.owner.ConnectionOwner`)."""

    stopping = False

    def __init__(self, app: Any) -> None:
        self.app = app
        self.limits = Limits(1_000, 10, 10, 75)
        self.connections: set[Any] = set()
        self.state: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, _: asyncio.Protocol) -> bool:
        """See the protocol."""
        return True

    def has_room(self) -> bool:
        """See the protocol."""
        return True

    def run_task(self, work: Any) -> None:
        """See the protocol."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class HotPath:
    """One client's connection and one engine's, with the application between them. Needs a running event loop.

    Args:
        app: The gateway.
        stream: Whether the requests are for streams.
    """

    def __init__(self, app: Any, *, stream: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._request, self._pieces = _request(stream=stream), _answer(stream=stream)
        self._left = 0
        self._done: asyncio.Future[None] = self._loop.create_future()
        engine = app._relay._fleet.engines[0]  # noqa: SLF001 - nothing else needs to reach it
        engine.models, engine.kind = ("mock",), "vllm"
        engine.set_state("ready")
        give_back = engine.upstream._give_back  # noqa: SLF001 - as above
        self._engine = EngineConnection(give_back)
        self._engine.connection_made(Transport(lambda _: self._loop.call_soon(self._send, 0)))
        self._engine.idle_since = math.inf  # never too old
        give_back(self._engine)
        self._client = ClientConnection(Owner(app))
        self._client.connection_made(Transport(self._received))

    async def serve(self, requests: int) -> None:
        """Serve so many, one after the other."""
        self._left, self._done = requests, self._loop.create_future()
        self._client.data_received(self._request)
        await self._done

    def _send(self, number: int) -> None:
        self._engine.data_received(self._pieces[number])
        if number + 1 < len(self._pieces):
            self._loop.call_soon(self._send, number + 1)

    def _received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1") and not data.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(RuntimeError(data.decode()))
        elif data.endswith((b"}}", b"0\r\n\r\n")):
            self._left -= 1
            if self._left:
                self._loop.call_soon(self._client.data_received, self._request)
            else:
                self._done.set_result(None)


def _request(*, stream: bool) -> bytes:
    body = orjson.dumps({"model": "mock", "messages": [{"role": "user", "content": "Say a word."}], "stream": stream})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _answer(*, stream: bool) -> list[bytes]:
    usage = {"prompt_tokens": 8, "completion_tokens": EVENTS, "total_tokens": 8 + EVENTS}
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": "word " * 16}, "finish_reason": "stop"}
        body = orjson.dumps({"object": "chat.completion", "model": "mock", "choices": [choice], "usage": usage})
        return [
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        ]
    event = {
        "object": "chat.completion.chunk",
        "model": "mock",
        "choices": [{"index": 0, "delta": {"content": "word "}}],
    }
    events = [*[orjson.dumps(event)] * EVENTS, orjson.dumps({**event, "choices": [], "usage": usage}), b"[DONE]"]
    blocks = [b"data: %b\n\n" % one for one in events]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks), b"0\r\n\r\n"]


async def _calls(path: HotPath, requests: int) -> dict[str, float]:
    """Calls of each part per request: of its own functions, and of those in C that it calls."""
    await path.serve(3)
    profile = cProfile.Profile()
    profile.enable()
    await path.serve(requests)
    profile.disable()
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # missing in typeshed
    calls: Counter[str] = Counter()
    for function, (_, count, _, _, callers) in stats.items():
        if part := _part(function[0]):
            calls[part] += count
            continue
        for caller, numbers in callers.items():
            if part := _part(caller[0]):
                calls[part] += numbers[0]
    return {part: calls[part] / requests for part in PARTS}


def _part(file: str) -> str | None:
    return next((part for part, words in PARTS.items() if any(word in file for word in words)), None)


async def _cpu_us(path: HotPath, requests: int) -> float:
    """The least CPU microseconds per request of all batches."""
    least = math.inf
    for _ in range(BATCHES):
        began = time.process_time()
        await path.serve(requests)
        least = min(least, time.process_time() - began)
    return MICRO * least / requests


async def measure(app: Any, *, timed: bool) -> dict[str, dict[str, float]]:
    """Calls by part, and `CPU µs` where `timed`, for each unit: `plain request` and `streamed event`."""
    measured = {}
    for unit, stream in (("plain request", False), ("streamed event", True)):
        path, requests = HotPath(app, stream=stream), REQUESTS // 10 if stream else REQUESTS
        costs = await _calls(path, requests)
        if timed:
            costs["CPU µs"] = await _cpu_us(path, requests)
        measured[unit] = {name: cost / (EVENTS if stream else 1) for name, cost in costs.items()}
    return measured


def run(directory: Path, *, timed: bool) -> dict[str, dict[str, float]]:
    """Set up a gateway as in a worker, with its files in this directory, and measure."""
    keys = directory / "keys.yaml"
    keys.touch(mode=0o600)
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys.write_text(f"keys:\n  - name: bench\n    sha256: {digest}\n", encoding="utf-8")
    metrics = directory / "metrics"
    os.environ |= {"ENGINES": "mock=http://127.0.0.1:1", "KEYS_FILE": str(keys), "METRICS_DIR": str(metrics)}
    slots.wipe(metrics)
    slots.claim(metrics)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        return uvloop.run(measure(create_app(), timed=timed))


def main() -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(description="Count the calls of a request in the gateway's own code, and time it.")
    parser.add_argument("--json", action="store_true", help="print JSON, without the CPU time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as directory:
        measured = run(Path(directory), timed=not given.json)
    if given.json:
        sys.stdout.buffer.write(orjson.dumps(measured))
        return
    print(f"| calls | {' | '.join(measured)} |\n|---|{'---|' * len(measured)}")
    for name in next(iter(measured.values())):
        print(f"| {name} | {' | '.join(f'{costs[name]:.1f}' for costs in measured.values())} |")


if __name__ == "__main__":
    main()

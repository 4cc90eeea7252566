"""A mock engine: an OpenAI-compatible server that speaks like vLLM, generates fixed tokens and fails when asked to.

    python benchmarks/mock_engine.py --port 18200
    python -m benchmarks.mock_engine --port 18200          (the same, from the root of the repository)

It serves `/health`, `/v1/models`, `/metrics`, `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`. A
request's field `mock` says how to answer: `{"ttft_s": 0.1, "interval_s": 0.02, "tokens": 50, "fault": "break:3"}`, and
`prompt_tokens`, `cached_tokens` and `reasoning_tokens` for the usage. `POST /mock` changes what holds for all requests
(`Behaviour` has the names), `GET /mock` tells what really happened (`Truth`). `fault.py` lists the faults.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if __name__ == "__main__":  # run as a file: let it find its own package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop

from benchmarks.mock.behaviour import Behaviour
from benchmarks.mock.connection import Connection
from benchmarks.mock.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

QUEUED = 2  # connections that fill a queue of none: Linux lets one in
BACKLOG = 1024  # connections that may wait: a burst of a few hundred must not be refused


@dataclass(slots=True)
class MockEngine:
    """A mock engine on a port of this machine; usable in a test's own loop with `async with`.

    Args:
        models: the names that it serves.
        owned_by: `vllm` or `llamacpp`.
        key: for `/v1`, if any.
        host: to listen on.
        port: 0 takes a free one, which `port` then names.
    """

    models: Sequence[str] = ("mock",)
    owned_by: str = "vllm"
    key: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    truth: Truth = field(default_factory=Truth)
    behaviour: Behaviour = field(init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _live: set[Connection] = field(default_factory=set, init=False)
    _deaf: list[socket.socket] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.behaviour = Behaviour(models=list(self.models), owned_by=self.owned_by)

    @property
    def url(self) -> str:
        """The address to give to a gateway, without a path."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.behaviour, self.truth, self.key, self._live),
            self.host,
            self.port,
            backlog=BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._hang_up()
        for kept in self._deaf:
            kept.close()

    def deafen(self) -> None:
        """From now on take no connection, with the port still open: who connects waits for ever.

        The listener stays, nobody accepts from it, and one connection of our own fills its queue; the kernel drops
        the first packet of all further ones.
        """
        if self._server is None or self._deaf:
            return
        listener = socket.socket(fileno=os.dup(self._server.sockets[0].fileno()))
        self._server.close()
        self._hang_up()
        listener.listen(0)
        self._deaf = [listener, *(socket.socket() for _ in range(QUEUED))]
        for filler in self._deaf[1:]:
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))

    def _hang_up(self) -> None:
        for connection in list(self._live):
            connection.abort()


async def serve(engine: MockEngine) -> None:
    """Serve until SIGTERM or SIGINT; deaf from SIGUSR1 on."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def deafen() -> None:
        engine.deafen()
        print("mock engine deaf", flush=True)

    loop.add_signal_handler(signal.SIGUSR1, deafen)
    async with engine:
        print(f"mock engine ready on {engine.url}", flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible mock engine that generates fixed tokens.")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 takes a free one and prints it")
    parser.add_argument("--model", action="append", help="a name to serve; may be given several times [mock]")
    parser.add_argument("--owned-by", choices=("vllm", "llamacpp"), default="vllm")
    parser.add_argument("--key", help="bearer key for /v1 (a made-up one: it shows in the process list)")
    given = parser.parse_args(arguments)
    models = tuple(given.model or ("mock",))
    uvloop.run(serve(MockEngine(models=models, owned_by=given.owned_by, key=given.key, port=given.port)))


if __name__ == "__main__":
    main()

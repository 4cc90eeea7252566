"""A whole gateway on a real port, in the test's own event loop, with everything it logs and counts within reach."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx
import uvicorn
from loguru import logger

from gateway.app import create_app
from gateway.gateway_app import GatewayApp
from gateway.server.limits import Limits
from gateway.server.server import Server
from gateway.server.worker import Worker
from gateway.settings import Settings, parse_engines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from gateway.engines import Engine, Fleet
    from gateway.telemetry.metrics import Metrics

KEY = "key-of-the-gateway-tests"
LIMITED_KEY = "another-key-of-the-gateway-tests"
AUTHORIZATION = {"authorization": f"Bearer {KEY}"}
CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
QUICK = {
    "connect_timeout": 5,
    "ttft_timeout": 2,
    "idle_timeout": 2,
    "send_timeout": 2,
    "total_timeout": 10,
    "discovery_interval": 0.05,
    "probe_interval": 60,
    "probe_timeout": 1,
}
PATIENCE_S = 5.0


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.005)


def nonzero_samples(metric: Any) -> dict[tuple[str, ...], float]:
    """The children of a metric that are not 0: label values in the order of its labels. A histogram by its counts."""
    names = metric._labelnames
    return {
        tuple(sample.labels[name] for name in names): sample.value
        for family in metric.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith(("_created", "_sum", "_bucket"))
    }


def chat(**fields: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": "mock", "messages": [{"role": "user", "content": "one two three"}], **fields}


def events(body: bytes | str) -> list[str]:
    """The payloads of a stream's events."""
    text = body if isinstance(body, str) else body.decode()
    return [event.removeprefix("data: ") for event in text.split("\n\n") if event.startswith("data: ")]


def stream_text(body: bytes | str) -> str:
    """The text of a streamed chat."""
    chunks = [json.loads(event) for event in events(body) if event != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def words(count: int) -> str:
    """What the mock engine says in so many tokens."""
    return "".join(f" w{number:03d}" for number in range(count))


@dataclass
class Gateway:
    """A running gateway."""

    app: GatewayApp
    port: int
    http: httpx.AsyncClient
    logged: io.BytesIO
    server: Server

    @property
    def metrics(self) -> Metrics:
        return self.app._recorder.metrics

    @property
    def fleet(self) -> Fleet:
        return self.app._relay._fleet

    def engine(self, name: str) -> Engine:
        return next(engine for engine in self.fleet.engines if engine.name == name)

    @property
    def output(self) -> io.BytesIO:
        """What it has logged up to now."""
        assert self.app._recorder._log.writer.flush(PATIENCE_S)
        return self.logged

    def lines(self) -> list[dict[str, Any]]:
        """All that was logged."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """The log lines of requests."""
        return [line for line in self.lines() if line["event"] == "request"]

    async def post(
        self, path: str = CHAT, *, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        return await self.http.post(path, json=fields, headers=headers)

    async def chat(self, **fields: Any) -> httpx.Response:
        return await self.http.post(CHAT, json=chat(**fields))

    async def settled(self, finished: int) -> None:
        """Waits until so many requests are counted as finished and logged, and none is in flight."""
        await until(lambda: sum(nonzero_samples(self.metrics.requests).values()) >= finished)
        assert sum(nonzero_samples(self.metrics.requests).values()) == finished
        assert nonzero_samples(self.metrics.inflight) == {}
        assert sum(nonzero_samples(self.metrics.requests_started).values()) == finished
        assert [engine.inflight for engine in self.fleet.engines] == [0] * len(self.fleet.engines)

    async def ended(self, outcome: str, code: int, *, stream: bool, model: str = "mock", path: str = CHAT) -> None:
        """Waits for the end of the only request, and checks how it was counted and logged."""
        await self.settled(1)
        key = (path, model, "true" if stream else "false", outcome, str(code))
        assert nonzero_samples(self.metrics.requests) == {key: 1}
        line = self.requests()[-1]
        assert (line["outcome"], line["status"], line["stream"]) == (outcome, code, stream)


@asynccontextmanager
async def running_gateway(
    engines: Mapping[str, str], keys_file: Path, *, keep_alive: float = 75, linger: float = 0, **settings: Any
) -> AsyncIterator[Gateway]:
    """Starts a gateway as gunicorn would, less gunicorn."""
    addresses = parse_engines(",".join(f"{name}={url}" for name, url in engines.items()))
    output = io.BytesIO()
    text = io.TextIOWrapper(output, write_through=True)  # kept to the end: it would close `output` with itself
    with contextlib.redirect_stdout(text):
        loaded = Settings.load(engines=addresses, keys_file=keys_file, **{**QUICK, **settings})
        app = cast("GatewayApp", create_app(loaded))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    options: dict[str, Any] = {**Worker.CONFIG_KWARGS, "loop": "none"}
    limits = Limits(
        loaded.max_connections, loaded.header_timeout, loaded.send_timeout, keep_alive=keep_alive, linger=linger
    )
    config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=1, **options)
    server = Server(config, limits)
    # Not `serve`, which would take the signals away from pytest.
    task = asyncio.create_task(server._serve(sockets=[listener]))
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=AUTHORIZATION, timeout=PATIENCE_S, trust_env=False
    ) as http:
        try:
            await until(lambda: server.started or task.done())
            yield Gateway(app, port, http, output, server)
        finally:
            server.should_exit = True
            await task
            logger.remove()
            app._recorder._log.writer.close()
            text.detach()

"""A fake client of an engine, which answers with what a test prepared, and engines that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.support.in_process.engines import FakeEngineObserver

from gateway.engines import Engine

if TYPE_CHECKING:
    from gateway.upstream import Upstream

EVENTS = {b"content-type": b"text/event-stream"}


class FakeResponse:
    """An engine's answer (`gateway.upstream.Response`).

    Attributes:
        closed: How it was closed: `linger` and `reuse`; None before.
    """

    def __init__(self, *pieces: bytes, status: int = 200, headers: dict[bytes, bytes] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self.closed: tuple[bool, bool] | None = None
        self._pieces = [*pieces]

    async def chunk(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def read(self, limit: int) -> bytes:
        return await self.beginning(limit)

    async def beginning(self, limit: int) -> bytes:
        return b"".join(self._pieces)[:limit]

    def close(self, *, linger: bool = False, reuse: bool = True) -> None:
        self.closed = (linger, reuse)


class FakeUpstream:
    """Answers requests in order, with a response or by raising an error."""

    def __init__(self, *outcomes: FakeResponse | Exception) -> None:
        self.outcomes = [*outcomes]
        self.requests: list[tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]] = []

    async def request(
        self, method: bytes, path: bytes, body: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> FakeResponse:
        assert method == b"POST"
        self.requests.append((path, body, headers))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def ready_engine(name: str, *outcomes: FakeResponse | Exception, kind: str = "vllm") -> tuple[Engine, FakeUpstream]:
    """An engine that serves `mock` and is ready, and its client."""
    upstream = FakeUpstream(*outcomes)
    engine = Engine(name, cast("Upstream", upstream), FakeEngineObserver())
    engine.kind = kind
    engine.models = ("mock",)
    engine.set_state("ready")
    return engine, upstream

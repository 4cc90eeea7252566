"""tools/mock_engine as a process of its own, and what a test says to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 5.0
USUAL: dict[str, Any] = {
    "models": ["mock"],
    "health": 200,
    "fault": None,
    "probe_fault": None,
    "path_faults": {},
    "ttft_s": 0,
    "interval_s": 0,
    "tokens": 16,
    "max_model_len": 8192,
    "running": None,
    "waiting": 0,
    "kv_cache_usage": 0,
}


@contextmanager
def mock_process(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "mock_engine", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@dataclass
class Mock:
    """A running mock engine, by the name that the gateway has for it."""

    name: str
    port: int
    http: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def fresh(cls, name: str, port: int, **behaviour: Any) -> AsyncIterator[Mock]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as http:
            mock = cls(name, port, http)
            await mock.change(**USUAL, **behaviour)
            await mock.wait_for(lambda truth: truth["running"] == 0)
            await mock.change(reset=True)
            yield mock

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def change(self, **patch: Any) -> None:
        answer = await self.http.post("/mock", json=patch)
        assert answer.status_code == 200, answer.text

    async def truth(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.http.get("/mock")).json()
        return answer

    async def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Asks until the truth is as wanted; the last answer shows in the failure."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(truth := await self.truth()):
            assert time.monotonic() < deadline, truth
            await asyncio.sleep(0.01)
        return truth

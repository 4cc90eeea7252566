"""tools/mock_engine as a process of its own, and what a test says to it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from mock_engine.behaviour import defaults
from mock_engine.process import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 5.0
mock_process = running


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
            await mock.change(**{**defaults(), **behaviour})
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

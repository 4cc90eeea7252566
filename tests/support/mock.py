"""The mock engine (tools/mock_engine) as a running process, and the control of it."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from tests.support.program import HOST, Program, until

from mock_engine.behaviour import defaults
from mock_engine.process import command, ready_port

MODEL = "mock"
_TIMEOUT_S = 5.0
_START_S = 20.0


class MockControl:
    """A mock engine on a port of this machine, whatever has started it."""

    def __init__(self, port: int, name: str = MODEL) -> None:
        self.port, self.name = port, name

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """As in `ENGINES`."""
        return f"{self.name}={self.url}"

    def stats(self) -> dict[str, Any]:
        """Exact counters of what happened in it."""
        found: dict[str, Any] = httpx.get(f"{self.url}/mock", trust_env=False, timeout=_TIMEOUT_S).json()
        return found

    def post(self, **fields: Any) -> httpx.Response:
        """`POST /mock`, whatever the response."""
        return httpx.post(f"{self.url}/mock", json=fields, trust_env=False, timeout=_TIMEOUT_S)

    def change(self, **fields: Any) -> None:
        """Changes its behaviour."""
        self.post(**fields).raise_for_status()

    def restore(self, **fields: Any) -> None:
        """Default behaviour but for these fields, nothing running, all counters at zero."""
        self.change(**{**defaults(), **fields})
        self.wait_for(lambda stats: not stats["running"])
        self.change(reset=True)

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 5.0) -> dict[str, Any]:
        """Polls until the stats are as expected; the last ones show in the failure."""
        deadline = time.monotonic() + seconds
        while not condition(stats := self.stats()):
            assert time.monotonic() < deadline, stats
            time.sleep(0.01)
        return stats

    def wait_idle(self, seconds: float = 5.0) -> float:
        return until(lambda: self.stats()["running"] == 0, seconds, "the mock engine is idle")


class Mock(MockControl):
    """A mock engine that runs as a program of the tests."""

    def __init__(self, program: Program, port: int, name: str) -> None:
        super().__init__(port, name)
        self.program = program

    def stop_accepting(self) -> None:
        """From now on it accepts no connection, though its port stays open."""
        self.program.send(signal.SIGUSR1)
        until(lambda: "accepts no more connections" in self.program.text(), 10, "the mock engine accepts no more")


def start_mock(
    directory: Path,
    *,
    name: str = MODEL,
    port: int = 0,
    owned_by: str = "vllm",
    models: Sequence[str] = (MODEL,),
) -> Mock:
    """Starts a mock engine that serves the model `mock`, or others, on a free port unless one is given."""
    options = [word for model in models for word in ("--model", model)]
    program = Program(name, command("--port", str(port), "--owned-by", owned_by, *options), {}, directory)
    try:
        program.ready(lambda: ready_port(program.text()) is not None, _START_S)
    except Exception:
        program.stop()
        raise
    return Mock(program, ready_port(program.text()) or port, name)


def chat(**fields: Any) -> dict[str, Any]:
    """A chat request of six words; `mock` in it controls the mock engine."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "one two three four five six"}], **fields}

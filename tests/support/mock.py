"""The mock engine (tools/mock_engine) as a program: it fails when it is told to, and tells the truth."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.program import HOST, PYTHON, Program, free_port, until

MODEL = "mock"


@dataclass
class Mock:
    """A running mock engine."""

    program: Program
    port: int
    name: str = "mock"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """As it stands in `ENGINES`."""
        return f"{self.name}={self.url}"

    def truth(self) -> dict[str, Any]:
        """What really happened there."""
        told: dict[str, Any] = httpx.get(f"{self.url}/mock", trust_env=False).json()
        return told

    def change(self, **switches: Any) -> None:
        httpx.post(f"{self.url}/mock", json=switches, trust_env=False).raise_for_status()

    def deafen(self) -> None:
        """From now on it takes no connection, though its port is open."""
        self.program.send(signal.SIGUSR1)
        until(lambda: "mock engine deaf" in self.program.text(), 10, "the mock engine is deaf")

    def wait_idle(self, seconds: float = 5.0) -> float:
        return until(lambda: self.truth()["running"] == 0, seconds, "the mock engine is idle")


def start_mock(
    directory: Path,
    *,
    name: str = "mock",
    port: int | None = None,
    owned_by: str = "vllm",
    models: Sequence[str] = (MODEL,),
) -> Mock:
    """Starts a mock engine that serves the model `mock`, or others."""
    port = port or free_port()
    command = [str(PYTHON), "-m", "mock_engine", "--port", str(port), "--owned-by", owned_by]
    for model in models:
        command += ["--model", model]
    program = Program(name, command, {}, directory)
    try:
        program.ready(lambda: re.search("mock engine ready", program.text()) is not None, 20)
    except Exception:
        program.stop()
        raise
    return Mock(program, port, name)


def chat(**fields: Any) -> dict[str, Any]:
    """A chat request of six words; `mock` in it steers the mock engine."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "one two three four five six"}], **fields}

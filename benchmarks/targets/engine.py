"""The mock engine behind all targets: started, paced for each load, and asked what it has counted."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks import child
from benchmarks.load import Endpoint, Load
from benchmarks.targets.target import Target, Workspace, launch

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECT = "direct"
MODEL = "mock"
IDLE_TIMEOUT_S = 30.0  # a gateway that is overloaded ends requests long after their clients have gone
OK = 200


@dataclass(frozen=True, slots=True)
class Engine:
    """The running mock engine.

    Args:
        target: itself, as a target: what a request costs with nothing in front of it.
    """

    target: Target

    @classmethod
    def start(cls, workspace: Workspace) -> Engine:
        """Start it; the other targets find it by the workspace's `engine_port`."""
        port = workspace.engine_port = workspace.port()
        command = [str(workspace.programs.mock_engine), "--port", str(port), "--model", MODEL]
        return cls(launch(workspace, DIRECT, command, Endpoint(port, workspace.key, MODEL)))

    def pace(self, load: Load) -> None:
        """Generate as this load says.

        The requests do not say it themselves: some targets drop the fields that they do not know.
        """
        body = {"ttft_s": 0, "interval_s": load.interval_s, "tokens": load.tokens}
        status, answer = child.request(self.target.endpoint.port, "POST", "/mock", body)
        if status != OK:
            raise RuntimeError(f"the mock engine refused {body}: {answer!r}")

    def counters(self) -> dict[str, Any]:
        """Return its counters, once it is idle or after a moment."""
        deadline = time.monotonic() + IDLE_TIMEOUT_S
        while True:
            counters: dict[str, Any] = orjson.loads(child.request(self.target.endpoint.port, "GET", "/mock")[1])
            if not counters["running"] or time.monotonic() > deadline:
                return counters
            time.sleep(child.POLL_S)


def mismatches(before: Mapping[str, Any], after: Mapping[str, Any], done: int) -> Counter[str]:
    """Compare what clients received with what the engine sent: no target may invent an answer, or repeat a request."""
    failures: Counter[str] = Counter()
    if gap := abs(after["finished"] - before["finished"] - done):
        failures["requests that clients and engine count differently"] = gap
    if after["running"]:
        failures["requests still running in the engine"] = after["running"]
    return failures

"""The cost of the gateway's telemetry per request: observation, recorder and log line, timed directly."""

from __future__ import annotations

import io
import time
from statistics import median
from typing import TYPE_CHECKING

import uvloop
from prometheus_client import CollectorRegistry

from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.recorder import Recorder
from gateway.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS, REQUESTS = 9, 2_000
MICRO = 1_000_000
STREAM_TOKENS = 50


def measure(directory: Path) -> tuple[float, float]:
    """Time the metrics and the log line of one request, with a worker's own kind of files.

    Returns:
        CPU microseconds of a plain request, and of a stream of `STREAM_TOKENS` tokens; each the median of `ROUNDS`.
    """
    slots.wipe(directory)
    slots.claim(directory)
    return uvloop.run(_measure())


async def _measure() -> tuple[float, float]:
    """The log needs a running event loop, although nothing here awaits anything."""
    recorder = Recorder(Metrics(CollectorRegistry()), RequestLog("info", LogWriter(io.BytesIO())))
    return _cpu_us(recorder, 0), _cpu_us(recorder, STREAM_TOKENS)


def _cpu_us(recorder: Recorder, tokens: int) -> float:
    took = []
    for _ in range(ROUNDS):
        started_at = time.process_time()
        for _ in range(REQUESTS):
            _request(recorder, tokens)
        took.append(MICRO * (time.process_time() - started_at) / REQUESTS)
    return median(took)


def _request(recorder: Recorder, tokens: int) -> None:
    """One request, as `gateway_app` and `relay` observe it."""
    observation = recorder.begin("0" * 32, "/v1/chat/completions")
    observation.key, observation.stream = "bench", bool(tokens)
    observation.begin("mock")
    observation.status, observation.engine, observation.attempts = 200, "mock", 1
    for number in range(1, tokens + 1):
        observation.token(number)
    observation.usage = Usage(12, tokens)
    observation.finish()

"""The one line of each finished request: its fields, and that it stays whole."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.record import RECORD

from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog

if TYPE_CHECKING:
    from gateway.telemetry.record import RequestRecord

PATIENCE_S = 10.0
DESIGN = (
    *("ts", "level", "event", "request_id", "key", "route", "model", "engine", "stream", "status", "outcome"),
    *("ttft_ms", "duration_ms", "input_tokens", "output_tokens", "cached_tokens"),
    *("cost_usd", "attempts", "error_code"),
)


def logged(*records: RequestRecord, level: str = "info") -> list[dict[str, Any]]:
    stream = io.BytesIO()
    log = RequestLog(level, LogWriter(stream))
    for record in records:
        log.write(record)
    log.writer.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_fields_of_a_request_line() -> None:
    [line] = logged(RECORD)
    assert tuple(line) == DESIGN
    assert {name: value for name, value in line.items() if name != "ts"} == {
        "level": "info",
        "event": "request",
        "request_id": "r1",
        "key": "tester",
        "route": "/v1/x",
        "model": "m",
        "engine": "e",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "ttft_ms": 250.0,
        "duration_ms": 2500.0,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 4,
        "cost_usd": 0.000012345678901234,
        "attempts": 2,
        "error_code": None,
    }


def test_a_line_without_tokens_has_nulls() -> None:
    [line] = logged(RECORD._replace(usage=None, ttft=None, key=None, engine=None, cost=None))
    names = ("input_tokens", "output_tokens", "cached_tokens", "ttft_ms", "key", "engine", "cost_usd")
    assert [line[name] for name in names] == [None] * len(names)


@pytest.mark.parametrize(("level", "lines"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
def test_requests_are_logged_at_info(level: str, lines: int) -> None:
    assert len(logged(RECORD, level=level)) == lines


def test_many_lines_stay_whole_and_in_order() -> None:
    lines = logged(*(RECORD._replace(request_id=str(number)) for number in range(300)))
    assert [line["request_id"] for line in lines] == [str(number) for number in range(300)]


def a_worker(end: int) -> None:
    with os.fdopen(end, "wb", buffering=0) as stream:
        log = RequestLog("info", LogWriter(stream))
        for _ in range(500):
            log.write(RECORD)
        log.writer.close(PATIENCE_S)


def test_workers_do_not_tear_each_others_lines_in_a_pipe_that_runs_full() -> None:
    end, first = os.pipe()
    with ThreadPoolExecutor() as pool, os.fdopen(end, "rb", buffering=0) as pipe:
        ends = [first, *(os.dup(first) for _ in range(3))]
        workers = [pool.submit(a_worker, mine) for mine in ends]
        read = b"".join(iter(lambda: pipe.read(1000), b""))
    assert [worker.result() for worker in workers] == [None] * 4
    assert [json.loads(line)["request_id"] for line in read.splitlines()] == ["r1"] * 2000

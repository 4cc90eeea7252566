"""Logs: one JSON line per event on standard output. Never a prompt, a completion, a key or a local variable."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from traceback import format_tb
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
from loguru import logger

from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.record import RequestRecord

if TYPE_CHECKING:
    from loguru import Record

_MS, _US = 1e3, 1e6


def set_up_logs(level: str) -> LogWriter:
    """Sends loguru's and the standard library's logs to standard output as JSON lines.

    Args:
        level: debug, info, warning or error.

    Returns:
        The writer of all lines; the log lines of requests go through it too.
    """
    writer = LogWriter(_standard_output())
    logger.remove()
    # diagnose=True, loguru's default, prints the local variables of a traceback: prompts and keys among them.
    logger.add(
        lambda line: writer.write(line.encode()), level=level.upper(), format=_format, diagnose=False, backtrace=False
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name, threshold in (("gunicorn.error", level.upper()), ("uvicorn.error", "WARNING")):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(threshold)
    return writer


def _standard_output() -> BinaryIO | None:
    """Standard output without its buffer; standard error where it was closed before the start, if that is open."""
    stream = sys.stdout or sys.stderr
    return None if stream is None else getattr(stream.buffer, "raw", stream.buffer)


class RequestLog:
    """The log line of each finished request.

    Written directly, in the shape of all other lines: a line through loguru costs as much as the rest of a request.

    Args:
        level: The level of the logs; above info, requests are not logged.
        writer: Where the lines go.
    """

    def __init__(self, level: str, writer: LogWriter) -> None:
        self.writer = writer
        self._is_enabled = level in {"debug", "info"}
        self._second, self._prefix = 0, ""

    def write(self, record: RequestRecord) -> None:
        """Writes the line of a request. Runs on the event loop."""
        if not self._is_enabled:
            return
        usage = record.usage
        line = {
            "ts": self._timestamp(),
            "level": "info",
            "event": "request",
            "request_id": record.request_id,
            "key": record.key,
            "route": record.route,
            "model": record.model,
            "engine": record.engine,
            "stream": record.stream,
            "status": record.code,
            "outcome": record.outcome,
            "ttft_ms": _milliseconds(record.ttft),
            "duration_ms": _milliseconds(record.duration),
            "input_tokens": None if usage is None else usage.input,
            "output_tokens": None if usage is None else usage.output,
            "cached_tokens": None if usage is None else usage.cached,
            "cost_usd": record.cost,
            "attempts": record.attempts,
            "error_code": record.error_code,
        }
        self.writer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def _timestamp(self) -> str:
        """Now, in UTC, to the millisecond."""
        now = time.time_ns() // 1_000_000
        second, millisecond = divmod(now, 1_000)
        if second != self._second:
            self._second, self._prefix = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._prefix}.{millisecond:03d}+00:00"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _US) / _MS  # to the microsecond


def _format(record: "Record") -> str:
    """Renders a record. loguru takes the result for a template, so the line itself travels in `extra`."""
    extra = record["extra"]
    line: dict[str, Any] = {
        "ts": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
    }
    line["event"] = extra.get("event", "log")
    if record["message"]:
        line["message"] = record["message"]
    line.update((name, value) for name, value in extra.items() if name not in {"event", "line"})
    if (exception := record["exception"]) is not None and exception.type is not None:
        line["exception"] = f"{exception.type.__name__}: {exception.value}"
        line["traceback"] = "".join(format_tb(exception.traceback))
    try:
        extra["line"] = orjson.dumps(line, default=str).decode()
    except TypeError:  # text that is not Unicode, such as a file name, which only the standard library escapes
        extra["line"] = json.dumps(line, default=str)
    return "{extra[line]}\n"


class _ToLoguru(logging.Handler):
    """Hands the standard library's records (uvicorn's, gunicorn's, asyncio's) to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.bind(event="log", logger=record.name).opt(exception=record.exc_info).log(
            record.levelname if record.levelname in _LEVELS else "INFO", "{}", record.getMessage()
        )


_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})

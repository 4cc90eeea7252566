"""The gunicorn worker: how much of the grace period it leaves for the last answers."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from gateway.server.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def uvicorn_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes over uvicorn's loggers; they are restored."""
    for name in ("uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    config = Config()
    config.set("graceful_timeout", request.param)
    made = Worker(1, os.getppid(), [], None, 30, config, Logger(config))
    yield made
    made.tmp.close()


@pytest.mark.parametrize(("worker", "seconds"), [(30, 27), (2, 1)], indirect=["worker"])
def test_unfinished_requests_are_answered_before_gunicorn_kills_the_worker(worker: Worker, seconds: int) -> None:
    assert worker.config.timeout_graceful_shutdown == seconds


@pytest.mark.parametrize("worker", [30], indirect=True)
def test_uvicorn_logs_no_requests_and_believes_no_proxy(worker: Worker) -> None:
    config = worker.config
    assert (config.access_log, config.proxy_headers, config.server_header, config.date_header) == (False,) * 4
    assert config.loop == "uvloop"

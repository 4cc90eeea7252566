"""How gunicorn runs the gateway: `gunicorn -c services/api/gunicorn.conf.py "gateway.app:create_app()"`.

Settings come from the environment (see .env.example); gunicorn's own command line overrides this file.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import Any

from loguru import logger

from gateway.cost import PricesFileError, read_meters
from gateway.dialects import ENDPOINTS
from gateway.policies.keys import KeysFileError, read_keys
from gateway.server.descriptors import raise_descriptor_limit
from gateway.server.limits import Limits
from gateway.settings import Settings
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.multiprocess.server import serve_metrics
from gateway.telemetry.series_budget import MAX_SERIES, series_budget

_PR_SET_PDEATHSIG = 1
_settings = Settings.load_or_exit()
_metrics_dir = slots.usable(_settings.metrics_dir)

_host = f"[{_settings.gateway_host}]" if ":" in _settings.gateway_host else _settings.gateway_host
bind = f"{_host}:{_settings.gateway_port}"
workers = _settings.workers
worker_class = "gateway.server.worker.Worker"
# In memory if possible: the heartbeat should not wait for a disk.
worker_tmp_dir = slots.shared_memory()
graceful_timeout = _settings.shutdown_grace
# Longer than nginx's 60 s, so that this side never closes a connection that nginx is about to use.
keepalive = 75
# A worker whose event loop is blocked for this long is hung. Running streams do not block it.
timeout = max(60, 2 * graceful_timeout)
# Recycling would cut streams; memory is measured flat instead.
max_requests = 0
loglevel = _settings.log_level
logger_class = "gateway.server.worker.Log"
accesslog = None
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Before anything listens: reports what is wrong, and deletes what an earlier gateway left."""
    server.handle_usr2 = lambda: server.log.warning(
        "USR2 (an upgrade in place) is not supported and was ignored: HUP reloads the workers"
    )
    raise_descriptor_limit()
    _check_series()
    if _metrics_dir != _settings.metrics_dir:
        logger.warning(
            "METRICS_DIR={!r}: /dev/shm is not writable, using {!r} instead",
            *map(str, (_settings.metrics_dir, _metrics_dir)),
        )
        os.environ["METRICS_DIR"] = str(_metrics_dir)  # for the workers, which read their settings again
    try:
        read_keys(_settings.keys_file)
        read_meters(_settings.engine_prices, _settings.prices_file, workers=_settings.workers)
        slots.wipe(_metrics_dir)
    except (KeysFileError, PricesFileError, slots.MetricsDirError) as error:
        _refuse(str(error))
    _check_port("GATEWAY_PORT", _settings.gateway_host, _settings.gateway_port)
    try:
        serve_metrics(_settings.metrics_host, _settings.metrics_port, _metrics_dir)
    except OSError as error:
        _refuse(f"METRICS_PORT={_settings.metrics_port} on {_settings.metrics_host}: {error.strerror}.")


def _check_series() -> None:
    """Refuses limits that allow too many series: Prometheus stores each of them, and each scrape pays for it."""
    routes = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}
    models, keys = _settings.max_model_series, _settings.max_key_series
    series = series_budget(routes, engines=len(_settings.engines), models=models, keys=keys)
    summary = f"MAX_MODEL_SERIES={models} and MAX_KEY_SERIES={keys} allow up to {series:,} series"
    if series > MAX_SERIES:
        _refuse(f"{summary}, but the limit is {MAX_SERIES:,}: lower one of them.")
    logger.info("{} (limit {:,})", summary, MAX_SERIES)


def _check_port(name: str, host: str, port: int) -> None:
    """Refuses a port in use. Gunicorn itself would retry for seconds and then not name the variable."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        _refuse(f"{name}={port} on {host}: {error.strerror}.")


def post_fork(_server: Any, worker: Any) -> None:
    """In a new worker, before the application is loaded: sets its limits and claims its slot."""
    _stop_with_master()
    worker.limits = Limits(
        connections=_settings.max_connections,
        header_timeout=_settings.header_timeout,
        send_timeout=_settings.send_timeout,
        keep_alive=keepalive,
    )
    slots.claim(_metrics_dir)


def post_worker_init(_worker: Any) -> None:
    """In a worker, before it serves.

    After stopping, uvicorn re-raises the signal that stopped it. By default that would kill the process before its last
    log lines are written; with these handlers it exits normally.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _stop_with_master() -> None:
    """Stops the worker if its master is killed, or it would hold the port and its slot against the next one (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def child_exit(_server: Any, _worker: Any) -> None:
    """In the master, when a worker has ended in any way: its requests are no longer in flight."""
    slots.release_dead(_metrics_dir)


def _refuse(reason: str) -> None:
    print(f"gateway: {reason}", file=sys.stderr)
    raise SystemExit(2)

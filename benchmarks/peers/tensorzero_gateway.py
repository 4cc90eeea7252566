"""Runs tensorzero's embedded gateway, with the Python of its own virtual environment; writes its port to a file."""

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tensorzero import _start_http_gateway  # type: ignore[import-not-found]  # installed in .venv-bench only

configuration, port_file = sys.argv[1:]
gateway = _start_http_gateway(
    config_file=configuration, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
Path(port_file).write_text(str(urlsplit(gateway.base_url).port), encoding="utf-8")
signal.pause()

"""The gateway's own /metrics: a thread of the gunicorn master on its own port, off every event loop."""

import struct
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

_TRIES, _PAUSE_S = 10, 0.02


def serve_metrics(host: str, port: int, directory: Path) -> None:
    """Serves the sum over all workers at http://host:port/metrics, from a daemon thread.

    Raises:
        OSError: The port is taken.
    """
    registry = CollectorRegistry()
    _Workers(registry, str(directory))  # type: ignore[no-untyped-call]
    start_http_server(port, host, registry=registry)


class _Workers(MultiProcessCollector):
    """The sum over the workers' files, of which one may be empty yet: its worker has just begun."""

    def collect(self) -> Iterable[Metric]:
        """See prometheus-client."""
        for _ in range(_TRIES):
            try:
                return super().collect()  # type: ignore[no-untyped-call, no-any-return]
            except (struct.error, FileNotFoundError):
                time.sleep(_PAUSE_S)
        return super().collect()  # type: ignore[no-untyped-call, no-any-return]

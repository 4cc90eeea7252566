"""The gateway's own /metrics: a thread of the gunicorn master on its own port, off every event loop."""

from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector


def serve_metrics(host: str, port: int, directory: Path) -> None:
    """Serves the sum over all workers at http://host:port/metrics, from a daemon thread.

    Raises:
        OSError: The port is taken.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    start_http_server(port, host, registry=registry)

"""The routes of the exporter's port: `GET /metrics` for Prometheus, `/healthz` for Docker."""

from collections.abc import Callable
from http import HTTPStatus

from gpu_exporter import report_metrics
from gpu_exporter.replay import Replay
from gpu_exporter.snapshot_worker import SnapshotWorker
from launcher.exposition import CONTENT_TYPE
from launcher.http_server import Response, Routes


def live_routes(worker: SnapshotWorker) -> Routes:
    """Give the routes that show the GPUs of this machine."""

    def unhealthy_reason() -> str | None:
        report = worker.latest()  # requests a snapshot, so that a failure is found even when nobody scrapes
        return None if report is None else report.unhealthy_reason

    return _routes(lambda: report_metrics.render(worker.collect()), unhealthy_reason)


def replay_routes(replay: Replay) -> Routes:
    """Give the routes that play a recording back; it is always healthy."""
    return _routes(lambda: replay.text, lambda: None)


def _routes(metrics: Callable[[], str], unhealthy_reason: Callable[[], str | None]) -> Routes:
    def health() -> Response:
        """A machine without a GPU is healthy: /metrics says so. Unhealthy is what a new container would fix."""
        reason = unhealthy_reason()
        if reason is not None:
            return Response(f"{reason}: this container has to be recreated\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return Response("ok\n")

    return {"/metrics": lambda: Response(metrics(), CONTENT_TYPE), "/healthz": health}

"""The service: a run at each interval, its metrics on a port, and a line of JSON about each run."""

import json
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from glasshouse.privacy_canary import canary, places
from glasshouse.privacy_canary.canary import Report
from glasshouse.privacy_canary.metrics import CONTENT_TYPE, Metrics
from glasshouse.privacy_canary.settings import Settings

_NOT_READY_S = 5.0


def serve(settings: Settings) -> None:
    """Runs forever.

    Raises:
        OSError: The port is taken.
    """
    metrics = Metrics(settings.interval)
    server = ThreadingHTTPServer((settings.host, settings.port), _handler(metrics))
    Thread(target=server.serve_forever, daemon=True).start()
    while True:
        due = time.monotonic() + settings.interval
        # A stack that starts is no failed run; one that stays down is one for each interval.
        while not canary.is_ready(settings) and time.monotonic() < due:
            time.sleep(_NOT_READY_S)
        report = canary.run(settings)
        metrics.record(report)
        print(json.dumps(_line(report)), flush=True)
        places.truncate(settings)
        time.sleep(max(0.0, due - time.monotonic()))


def _line(report: Report) -> dict[str, object]:
    """A run for the log. It names places and reasons, never the token."""
    found = {place: count for place, count in report.found.items() if count}
    level = "error" if found else "info" if report.result == "clean" else "warning"
    return {
        "ts": datetime.now(UTC).isoformat(),
        "level": level,
        "event": "privacy_canary",
        "result": report.result,
        "read": len(report.found),
        "found": found,
        "unreadable": report.unreadable,
        "failure": report.failure,
    }


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.path == "/metrics"
            body = metrics.page().encode() if is_known else b"not found\n"
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", CONTENT_TYPE if is_known else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing about scrapes."""

    return Handler

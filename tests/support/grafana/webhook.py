"""A webhook that records Grafana's notifications."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.program import HOST

Json = dict[str, Any]


class WebhookReceiver:
    """An HTTP server for Grafana's webhook contact point. Use as a context manager."""

    def __init__(self) -> None:
        self._notifications: list[tuple[float, Json]] = []
        notifications = self._notifications

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                now, texts = time.monotonic(), {"title": body["title"], "message": body["message"]}
                notifications.extend((now, {**alert, **texts}) for alert in body["alerts"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}/alerts"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def all(self) -> list[Json]:
        """Every notification so far."""
        return [alert for _, alert in list(self._notifications)]

    def first(self, name: str, status: str, since: float) -> tuple[float, Json] | None:
        """The time and content of the first notification of an alert with that status (firing, resolved)."""
        found = (
            (when, alert)
            for when, alert in list(self._notifications)
            if when >= since and alert["status"] == status and alert["labels"]["alertname"] == name
        )
        return next(found, None)

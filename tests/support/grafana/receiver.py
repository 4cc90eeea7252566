"""Who is told: a webhook that keeps what Grafana sends."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.program import HOST

Json = dict[str, Any]


class Receiver:
    """A receiver of Grafana's webhooks. Use as a context manager."""

    def __init__(self) -> None:
        self._told: list[tuple[float, Json]] = []
        told = self._told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                now, words = time.monotonic(), {"title": body["title"], "message": body["message"]}
                told.extend((now, {**alert, **words}) for alert in body["alerts"])
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

    def first(self, name: str, status: str, since: float) -> tuple[float, Json] | None:
        """When the first message of that status (firing, resolved) about an alert came, and what it said."""
        found = (
            (when, alert)
            for when, alert in list(self._told)
            if when >= since and alert["status"] == status and alert["labels"]["alertname"] == name
        )
        return next(found, None)

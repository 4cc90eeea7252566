"""The gateway's own /metrics: threads of the gunicorn master on its own port, off every event loop."""

import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any

from gateway.telemetry.page import Page

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PATHS = frozenset({"/metrics", "/"})
_PATIENCE_S = 10


def serve_metrics(host: str, port: int, directory: Path) -> "MetricsServer":
    """Serves the sum over all workers at http://host:port/metrics, from a daemon thread.

    Raises:
        OSError: The port is taken, or the address is none of this machine.
    """
    server = MetricsServer(host, port, Page(directory))
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class MetricsServer(ThreadingMixIn, TCPServer):
    """An HTTP server for one page. `shutdown` and `server_close` end it.

    Args:
        host: A name, or an address of either family.
        port: To listen on.
        page: What to answer with.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, page: Page) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        self.page = page
        super().__init__(address, _Handler)  # type: ignore[arg-type] # an IPv6 address has four parts


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page, uncompressed: it is some 20 kB, on a network of the stack's own."""

    timeout = _PATIENCE_S
    server: MetricsServer

    def do_GET(self) -> None:
        """See `http.server`."""
        if self.path.partition("?")[0] not in _PATHS:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = self.server.page.render()
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", _TEXT)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""

"""Serves the gateway's /metrics from threads of the gunicorn master, on its own port and off every event loop."""

import socket
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any

from loguru import logger

from gateway.telemetry.multiprocess.exposition import MultiprocessExposition

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PATHS = frozenset({"/metrics", "/"})
# For a request and its response; slower connections are closed.
_TIMEOUT_S = 10.0
# Concurrent scrapes; further ones are closed unread, so that no number of them exhausts the master's memory.
_MAX_CONNECTIONS = 64
_ACCEPT_PAUSE_S = 0.1


def serve_metrics(host: str, port: int, directory: Path) -> "MetricsServer":
    """Serves the sum over all workers at http://host:port/metrics, from a daemon thread.

    Raises:
        OSError: The port is in use, or the address does not belong to this machine.
    """
    server = MetricsServer(host, port, MultiprocessExposition(directory))
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class MetricsServer(ThreadingMixIn, TCPServer):
    """An HTTP server for /metrics. `shutdown` and `server_close` end it.

    Args:
        host: A host name, or an IPv4 or IPv6 address.
        port: The port to listen on.
        exposition: Renders the metrics.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, exposition: MultiprocessExposition) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        self.exposition = exposition
        self._since: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)  # type: ignore[arg-type] # an IPv6 address has four parts

    def get_request(self) -> tuple[socket.socket, Any]:
        """See `socketserver`, which would retry in a busy loop while no descriptor is left."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_ACCEPT_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """See `socketserver`."""
        if len(self._since) >= _MAX_CONNECTIONS:
            self.shutdown_request(request)
            return
        self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """See `socketserver`; the end of every request."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """See `socketserver`, which calls this twice a second. A socket's own timeout starts anew with each byte."""
        overdue = time.monotonic() - _TIMEOUT_S
        for request, since in tuple(self._since.items()):
            if since < overdue:
                with suppress(OSError):  # it has just ended
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """See `socketserver`, which prints a traceback. A scraper that has left, or was cut off, is not logged."""
        if not isinstance(sys.exception(), OSError):
            logger.exception("the metrics could not be rendered")


class _Handler(BaseHTTPRequestHandler):
    """Responds with the exposition, uncompressed: it is about 20 kB, on the stack's own network."""

    timeout = _TIMEOUT_S
    server: MetricsServer

    def do_GET(self) -> None:
        """See `http.server`."""
        if self.path.partition("?")[0] not in _PATHS:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            body = self.server.exposition.render()
        except Exception:  # noqa: BLE001 - whatever it is, Prometheus gets a response and the log a line
            logger.exception("the metrics could not be rendered")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", _TEXT)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Logs nothing: there is a scrape every few seconds."""

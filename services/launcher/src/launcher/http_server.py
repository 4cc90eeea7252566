"""A small HTTP server for what probes and Prometheus read: a few GET routes, served from a thread."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from launcher.errors import ConfigurationError

TEXT = "text/plain; charset=utf-8"
_REQUEST_TIMEOUT_S = 10  # a client that sends nothing must not hold a thread for ever
_POLL_INTERVAL_S = 0.1  # how soon the thread sees that it should stop


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers with."""

    text: str
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


Routes = Mapping[str, Callable[[], Response]]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    timeout = _REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            known = ", ".join(self.server.routes)
            self._send(Response(f"Not found. Served here: {known}\n", status=HTTPStatus.NOT_FOUND))
        else:
            self._send(route())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        """Log nothing: probes and scrapes come every few seconds and would bury what matters."""

    def _send(self, response: Response) -> None:
        body = response.text.encode()
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], routes: Routes) -> None:
        self.routes = routes
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that hangs up early; anything else is a fault and is printed."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the stub is narrower than the code


@contextlib.contextmanager
def serve(routes: Routes, host: str, port: int, *, name: str) -> Iterator[int]:
    """Serve from a daemon thread while the context lasts.

    Args:
        routes: path → what answers a GET, called in a thread of the request's own.
        host: address to listen on.
        port: TCP port; with 0 the system chooses one.
        name: what the operator calls this address, for the error message.

    Yields:
        The port.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    try:
        server = _Server((host, port), routes)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"{name} cannot be listened at ({error}); choose a free port and an address of this machine."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_INTERVAL_S,), name="http-server", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

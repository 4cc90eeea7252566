"""The port: `GET /metrics` for Prometheus, `/healthz` for Docker."""

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gpu_exporter import exposition
from gpu_exporter.errors import ConfigurationError
from gpu_exporter.page import Page

_REQUEST_SECONDS = 10  # a reader that sends nothing must not hold a thread for ever
_TEXT = "text/plain; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, exposition.CONTENT_TYPE, self.server.page.text())
            case "/healthz":
                self._answer(*_health(self.server.page))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, _TEXT, "/metrics and /healthz are here\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        """Stay silent: scrapes come every few seconds and would bury what matters."""

    def _answer(self, code: HTTPStatus, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _health(page: Page) -> tuple[HTTPStatus, str, str]:
    """A machine without a GPU is well: /metrics says that there is none. Sick is what a new container would heal."""
    reason = page.sick()
    if reason is not None:
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{reason}: this container has to be made anew\n"
    return HTTPStatus.OK, _TEXT, "ok\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], page: Page) -> None:
        self.page = page
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about a reader that hangs up early, which is no event."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the stub is narrower than the code


@contextlib.contextmanager
def served(page: Page, host: str, port: int) -> Iterator[int]:
    """Serve from a daemon thread while the context lasts; gives the port, which the system chooses for port 0.

    Raises:
        ConfigurationError: the address cannot be listened at.
    """
    try:
        server = _Server((host, port), page)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"GPU_EXPORTER_HOST={host} with GPU_EXPORTER_PORT={port} cannot be listened at ({error}); "
            "choose a free port and an address of this machine."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="port", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

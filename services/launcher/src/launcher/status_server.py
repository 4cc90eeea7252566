"""The status port: `GET /status` (JSON), `/livez`, `/metrics`."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from launcher import status_metrics
from launcher.errors import ConfigurationError
from launcher.status import Status

_REQUEST_SECONDS = 10  # a reader that sends nothing must not hold a thread for ever


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        snapshot = self.server.status.snapshot()
        match self.path.partition("?")[0]:
            case "/status":
                self._answer(HTTPStatus.OK, "application/json", json.dumps(snapshot.as_json(), ensure_ascii=False))
            case "/livez":
                self._answer(HTTPStatus.OK, "text/plain; charset=utf-8", "ok\n")
            case "/metrics":
                self._answer(HTTPStatus.OK, status_metrics.CONTENT_TYPE, status_metrics.render(snapshot))
            case _:
                self._answer(
                    HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "/status, /livez and /metrics are here\n"
                )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        """Stay silent: probes come every few seconds and would bury the engine's own lines."""

    def _answer(self, code: HTTPStatus, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], status: Status) -> None:
        self.status = status
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a reader that hangs up early is no event."""


class StatusServer:
    """Serves a status from a daemon thread, from entering the context until leaving it.

    Args:
        status: what is served.
        host: address to listen at.
        port: TCP port; 0 lets the system choose, see the attribute `port`.

    Raises:
        ConfigurationError: on entering, when the address cannot be listened at.
    """

    def __init__(self, status: Status, host: str, port: int) -> None:
        self._status = status
        self._host = host
        self.port = port

    def __enter__(self) -> Self:
        try:
            self._server = _Server((self._host, self.port), self._status)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"The status port {self._host}:{self.port} cannot be listened at ({error}); "
                "choose a free port and an address of this machine."
            ) from error
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="status-port", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

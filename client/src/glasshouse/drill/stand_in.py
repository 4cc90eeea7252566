"""What the drill's container runs: `python -m glasshouse.drill.stand_in DIRECTORY`.

It serves what the command line puts into the directory, and does nothing while the directory is empty:

    NAME.metrics    a metrics page, at /NAME on the port of pages
    NAME.status     the status of /NAME on the TLS port
    cert.pem        the certificate of the TLS port, and its private key; read for each connection
    load.json       the requests that are repeated, while the file is there: a `LoadFile`

It ends by itself after a while, so that nothing of a drill outlives the machine's attention.
"""

import argparse
import re
import signal
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from glasshouse.drill.load import Clients

PAGES_PORT, TLS_PORT = 9400, 8443
CERTIFICATE = "cert.pem"
_LIFETIME_S = 4 * 3600.0
_PATH = re.compile(r"/([a-z-]+)")


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM, SIGINT, or the end of its lifetime."""
    parser = argparse.ArgumentParser(prog="glasshouse.drill.stand_in")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - in a container, whose networks are the stack's own
    parser.add_argument("--pages-port", type=int, default=PAGES_PORT)
    parser.add_argument("--tls-port", type=int, default=TLS_PORT)
    given = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    servers = (
        ThreadingHTTPServer((given.host, given.pages_port), _handler(given.directory, "metrics")),
        _TlsServer((given.host, given.tls_port), _handler(given.directory, "status"), given.directory / CERTIFICATE),
    )
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with Clients(given.directory):
        ended.wait(_LIFETIME_S)


class _TlsServer(ThreadingHTTPServer):
    """Presents the certificate that is in the file when a client connects."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], certificate: Path) -> None:
        super().__init__(address, handler)
        self._certificate = certificate

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
        except OSError:  # socketserver ignores the connection; there is no certificate, say
            connection.close()
            raise


def _handler(directory: Path, suffix: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = _PATH.fullmatch(self.path)
            try:
                text = (directory / f"{found[1]}.{suffix}").read_text(encoding="utf-8") if found else None
            except OSError:
                text = None
            status = 404 if text is None else int(text) if suffix == "status" else 200
            body = (text or "").encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent: it is asked every few seconds."""

    return Handler


if __name__ == "__main__":
    main()

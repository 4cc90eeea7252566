"""A small server of fixed pages, some of which want to know who asks."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self


class Pages:
    """The pages by path, with the `Authorization` that some ask for, and what was asked."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.logins: dict[str, str] = {}
        self.seen: list[tuple[str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                login = self.headers.get("Authorization")
                pages.seen.append((self.path, login))
                text = pages.texts.get(self.path)
                allowed = pages.logins.get(self.path) in (None, login)
                self.send_response(404 if text is None else 200 if allowed else 401)
                self.end_headers()
                self.wfile.write(text if text is not None and allowed else b"")

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler

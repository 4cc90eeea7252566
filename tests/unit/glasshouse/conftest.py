"""A checkout small enough for unit tests, and an API that answers what a test tells it to."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from glasshouse.settings import Settings, load

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What `find_root` looks for, and the templates."""
    (tmp_path / "services").mkdir()
    (tmp_path / "supervisord.conf").touch()
    for folder in ("nginx", "prometheus"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    return tmp_path


@pytest.fixture
def settings(root: Path) -> Settings:
    return load(root, {})


@dataclass
class FakeApi:
    """Answers by path: a status and a body; a list of texts is a stream's pieces, one event each."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def answer(self, path: str, request: Any) -> tuple[int, Any]:
        stream = isinstance(request, dict) and request.get("stream")
        return self.answers.get(f"{path}#stream" if stream else path, (404, {"error": {"message": "no such path"}}))


@pytest.fixture
def fake_api() -> Iterator[FakeApi]:
    fake = FakeApi()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, request: Any) -> None:
            fake.requests.append((self.path, dict(self.headers), request))
            status, body = fake.answer(self.path, request)
            text = "".join(f"data: {piece}\n\n" for piece in body) if isinstance(body, list) else json.dumps(body)
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Silent: pytest shows what a test prints."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def which() -> Callable[..., Callable[[str], str | None]]:
    """Builds a look-up of programs that finds only those named."""

    def build(**found: str) -> Callable[[str], str | None]:
        return lambda name: found.get(name.replace("-", "_"))

    return build

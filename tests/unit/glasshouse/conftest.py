"""A checkout small enough for unit tests, and an API that answers what a test tells it to."""

import http.server
import json
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import composed_watch, system
from glasshouse.settings import Settings, load

Read = Callable[..., Settings]

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What `find_root` looks for, and the templates."""
    (tmp_path / "services").mkdir()
    (tmp_path / "supervisord.conf").touch()
    for folder in ("nginx", "prometheus"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    return tmp_path


@pytest.fixture(autouse=True)
def bare(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for /proc, /sys and /etc of the machine, so that its own GPU or clock changes no test: empty."""
    place = tmp_path_factory.mktemp("machine")
    monkeypatch.setattr(system, "_ROOT", place)
    return place


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


@contextmanager
def serving(host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None) -> Iterator[FakeApi]:
    """A fake API that listens; with `tls`, a certificate and its key, over HTTPS."""
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

    with http.server.ThreadingHTTPServer((host, 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        fake.url = f"http{'s' if tls else ''}://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def fake_api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


@pytest.fixture
def which() -> Callable[..., Callable[[str], str | None]]:
    """Builds a look-up of programs that finds only those named."""

    def build(**found: str) -> Callable[[str], str | None]:
        return lambda name: found.get(name.replace("-", "_"))

    return build


@pytest.fixture
def docker(tmp_path_factory: pytest.TempPathFactory, root: Path) -> FakeDocker:
    return FakeDocker(tmp_path_factory.mktemp("fake") / "bin", root)


def free_port() -> int:
    """A port that nobody has, from below those that the system gives to whoever asks for any."""
    while True:
        number = random.randrange(15_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", number))
            return number


@pytest.fixture
def read(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads settings with this docker and with ports that are free; a start then looks more often than usual."""
    monkeypatch.setattr(composed_watch, "_POLL_S", 0.01)
    monkeypatch.setattr(composed_watch, "_LOOK_S", 0.02)
    ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
    return lambda **variables: load(docker.root, {"PATH": docker.path, **ports, **variables})


@pytest.fixture
def healthy(docker: FakeDocker, fake_api: FakeApi) -> list[dict[str, Any]]:
    """The containers of a good start; the front door is asked over HTTP, because no certificate is there to trust."""
    fake_api.answers = {
        "/healthz": (200, {"status": "ready"}),
        "/v1/models": (200, {"data": [{"id": "demo"}]}),
    }
    port = int(fake_api.url.rsplit(":", 1)[1])
    containers = [
        docker.container("init", "exited"),
        docker.container("nginx", ports={80: port, 443: 29443}),
        docker.container("api"),
        docker.container("llamacpp"),
        docker.container("grafana"),
    ]
    docker.plan(after_up=containers, logs={"id-init": ["Created secrets:", "  secrets/api-key  (your first)"]})
    return containers

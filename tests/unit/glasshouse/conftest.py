"""A checkout small enough for unit tests, and an API that answers what a test tells it to."""

import http.server
import json
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@dataclass
class FakeDocker:
    """The fake program of fake_docker.py on a PATH of its own, and what it is to answer."""

    directory: Path
    root: Path

    def __post_init__(self) -> None:
        self.directory.mkdir()
        source = Path(__file__).with_name("fake_docker.py").read_text(encoding="utf-8")
        self.program("docker", f"#!{sys.executable} -SE\n{source}")
        for name in ("compose.yaml", "compose.cpu.yaml"):
            (self.root / name).touch()
        self._plan: dict[str, Any] = {
            "daemon_says": "", "compose": "2.26.1", "runtimes": {"runc": {}}, "hangs": "", "statuses": {},
            "containers": [], "after_up": [], "logs": {},
        }  # fmt: skip
        self.plan()

    def program(self, name: str, text: str) -> None:
        """Puts a program on the PATH."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def plan(self, **changes: Any) -> None:
        """Changes what it answers."""
        if (file := self.directory / "plan.json").exists():
            self._plan = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**self._plan, **changes}), encoding="utf-8")

    def container(
        self,
        service: str,
        state: str = "running",
        *,
        ports: dict[int, int] | None = None,
        files: tuple[str, ...] = ("compose.yaml", "compose.cpu.yaml"),
        directory: Path | None = None,
        status: int = 0,
        restarts: int = 0,
        error: str = "",
        health: str = "healthy",
    ) -> dict[str, Any]:
        """A container as `docker inspect` describes it."""
        place = directory or self.root
        labels = {"service": service, "project.working_dir": str(place)}
        labels["project.config_files"] = ",".join(str(place / file) for file in files)
        return {
            "Id": f"id-{service}",
            "RestartCount": restarts,
            "Config": {"Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()}},
            "State": {
                "Status": state, "ExitCode": status, "Error": error, "StartedAt": "2026-11-21T05:03:39.123456789Z",
                "Health": {"Status": health},
            },
            "NetworkSettings": {
                "Ports": {f"{inside}/tcp": [{"HostPort": str(out)}] for inside, out in (ports or {}).items()}
            },
        }  # fmt: skip

    @property
    def path(self) -> str:
        """The PATH on which this docker is alone."""
        return str(self.directory)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What it was asked so far."""
        file = self.directory / "calls.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    @property
    def asked_of_compose(self) -> list[str]:
        """What Compose was to do, without project and files."""
        done = [" ".join(call["words"]) for call in self.calls if call["words"][0] == "compose"]
        return [text.split("compose.cpu.yaml ")[-1].split("compose.yaml ")[-1] for text in done if "--project" in text]


@pytest.fixture
def docker(tmp_path_factory: pytest.TempPathFactory, root: Path) -> FakeDocker:
    return FakeDocker(tmp_path_factory.mktemp("fake") / "bin", root)

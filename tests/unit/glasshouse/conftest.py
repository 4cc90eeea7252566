"""Checkouts small enough for unit tests, fake programs, and an API that answers what a test tells it to."""

import http.server
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import system
from glasshouse.settings import Settings, load
from glasshouse.stack.compose import readiness

Read = Callable[..., Settings]

CHAT = "/v1/chat/completions"
_STREAM = ['{"choices": [{"delta": {"content": "x"}}]}', '{"choices": [], "usage": {"completion_tokens": 3}}', "[DONE]"]

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

        def do_DELETE(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, request: Any) -> None:
            fake.requests.append((self.path, dict(self.headers), request))
            status, body = fake.answer(self.path, request)
            is_stream = isinstance(body, list) and all(isinstance(piece, str) for piece in body)
            text = "".join(f"data: {piece}\n\n" for piece in body) if is_stream else json.dumps(body)
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
    monkeypatch.setattr(readiness, "_POLL_S", 0.01)
    monkeypatch.setattr(readiness, "_CHECK_INTERVAL_S", 0.02)
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


@dataclass
class Repository:
    """A repository with versions, and the programs that an upgrade finds on its PATH."""

    root: Path
    programs: Path

    def git(self, *words: str) -> str:
        author = ("-c", "user.name=a test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", self.root, *author, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    def version(self, name: str, tag: str, **files: str) -> None:
        for file, text in {"VERSION": name, **files}.items():
            (self.root / file).write_text(f"{text}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)
        self.git("tag", tag)

    @property
    def settings(self) -> Settings:
        settings = load(self.root, {"PATH": os.environ["PATH"], "SHAPE": "cpu"})
        settings.secrets_dir.mkdir(exist_ok=True)
        return settings

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.programs / "state.json").read_text())
        return found

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.programs / "calls.jsonl").read_text().splitlines()]

    def did(self, *programs: str) -> list[str]:
        """What changed something, in order, and on which version's code."""
        found = []
        for call in self.calls:
            words = call["words"]
            verb = "compose up" if words[0] == "compose" and "up" in words else words[0]
            if call["program"] in programs and verb in {"up", "smoke", "down", "stop", "start", "tag", "compose up"}:
                found.append(f"{verb} on {call['head']}")
        return found

    def restored(self) -> list[str]:
        runs = [call["words"] for call in self.calls if call["words"][0] == "run" and "sh" in call["words"]]
        return [words[words.index("--volume") + 1].partition(":")[0] for words in runs]


@pytest.fixture
def git() -> str:
    """The program, where this machine has it."""
    found = shutil.which("git")
    if found is None:
        pytest.skip("git is not installed")
    return found


@pytest.fixture
def repository(tmp_path: Path, git: str, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Repository:
    fake_api.answers |= {
        "/healthz": (200, {"status": "ready"}),
        "/v1/models": (200, {"data": [{"id": "demo"}]}),
        f"{CHAT}#stream": (200, _STREAM),
        CHAT: (200, {"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": 4}}),
    }
    repository = Repository(tmp_path / "root", tmp_path / "programs")
    (repository.root / "services").mkdir(parents=True)
    repository.programs.mkdir()
    source = Path(__file__).with_name("fake_programs.py").read_text(encoding="utf-8")
    for name in ("docker", "make"):
        program = repository.programs / name
        program.write_text(f"#!{sys.executable} -SE\n{source}")
        program.chmod(0o755)
    with tarfile.open(repository.programs / "empty.tar.gz", "w:gz"):
        pass
    (repository.programs / "git").symlink_to(git)
    port = int(fake_api.url.rsplit(":", 1)[1])
    (repository.programs / "state.json").write_text(
        json.dumps(
            {
                "containers": {
                    "api": container(repository.root, "api", "glasshouse/api:tag"),
                    "nginx": container(repository.root, "nginx", "nginx:1", {"80/tcp": [{"HostPort": str(port)}]}),
                    "prometheus": container(repository.root, "prometheus", "prom/prometheus:v3"),
                },
                "tags": {
                    "glasshouse/api:tag": "sha256:api",
                    "glasshouse/api:other-project": "sha256:in-use-nowhere",
                },
                "config": {
                    "services": {
                        "init": {
                            "image": "glasshouse/init:tag",
                            "environment": {"GLASSHOUSE_UID": "10001", "GLASSHOUSE_GID": "10001"},
                        },
                        "prometheus": {"volumes": [{"type": "volume", "source": "prometheus-data"}]},
                        "grafana": {"volumes": [{"type": "volume", "source": "grafana-data"}]},
                    },
                    "volumes": {name: {"name": f"glasshouse_{name}"} for name in ("prometheus-data", "grafana-data")},
                },
            }
        )
    )
    (repository.root / ".gitignore").write_text(".run/\nbackups/\nsecrets/\n.env\n")
    (repository.root / "supervisord.conf").touch()
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.version("old", "v1.0.0")
    monkeypatch.setenv("PATH", f"{repository.programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MAKEFLAGS", "-- VERSION=x")
    return repository


def container(root: Path, service: str, image: str, ports: dict[str, Any] | None = None) -> dict[str, Any]:
    labels = {"service": service, "project.working_dir": str(root), "project.config_files": ""}
    return {
        "Id": f"{service}-old",
        "Image": f"sha256:{service}",
        "RestartCount": 0,
        "Config": {"Image": image, "Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()}},
        "State": {"Status": "running", "ExitCode": 0, "Error": "", "StartedAt": "2026-11-21T05:03:39.123456789Z"},
        "NetworkSettings": {"Ports": ports or {}},
    }

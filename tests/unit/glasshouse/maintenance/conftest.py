"""A checkout with secrets and data, as a native stack leaves them; and one with versions, beside a fake docker."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse.secrets import bootstrap
from glasshouse.settings import Settings, load

CHAT = "/v1/chat/completions"
_STREAM = ['{"choices": [{"delta": {"content": "x"}}]}', '{"choices": [], "usage": {"completion_tokens": 3}}', "[DONE]"]

Checkout = Callable[..., Settings]


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory but the locks of commands."""
    paths = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Makes a checkout of a name: empty, or with secrets and three files of Prometheus'."""

    def make(name: str, *, used: bool = True, **variables: str) -> Settings:
        root = tmp_path / name
        (root / "services").mkdir(parents=True)
        (root / "supervisord.conf").touch()
        settings = load(root, {"SHAPE": "native", **variables})
        if used:
            bootstrap.create_missing(settings)
            data = settings.run_dir / "prometheus" / "data"
            (data / "01BLOCK" / "chunks").mkdir(parents=True)
            (data / "01BLOCK" / "chunks" / "000001").write_bytes(bytes(range(256)) * 1000)
            (data / "01BLOCK" / "meta.json").write_text("{}")
            (data / "queries.active").touch()
        return settings

    return make


@dataclass
class Place:
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
        one = load(self.root, {"PATH": os.environ["PATH"], "SHAPE": "cpu"})
        one.secrets_dir.mkdir(exist_ok=True)
        return one

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
def place(tmp_path: Path, git: str, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Place:
    fake_api.answers |= {
        "/healthz": (200, {"status": "ready"}),
        "/v1/models": (200, {"data": [{"id": "demo"}]}),
        f"{CHAT}#stream": (200, _STREAM),
        CHAT: (200, {"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": 4}}),
    }
    one = Place(tmp_path / "root", tmp_path / "programs")
    (one.root / "services").mkdir(parents=True)
    one.programs.mkdir()
    source = Path(__file__).with_name("fake_programs.py").read_text(encoding="utf-8")
    for name in ("docker", "make"):
        program = one.programs / name
        program.write_text(f"#!{sys.executable} -SE\n{source}")
        program.chmod(0o755)
    with tarfile.open(one.programs / "empty.tar.gz", "w:gz"):
        pass
    (one.programs / "git").symlink_to(git)
    port = int(fake_api.url.rsplit(":", 1)[1])
    (one.programs / "state.json").write_text(
        json.dumps(
            {
                "containers": {
                    "api": container(one.root, "api", "glasshouse/api:tag"),
                    "nginx": container(one.root, "nginx", "nginx:1", {"80/tcp": [{"HostPort": str(port)}]}),
                    "prometheus": container(one.root, "prometheus", "prom/prometheus:v3"),
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
    (one.root / ".gitignore").write_text(".run/\nbackups/\nsecrets/\n.env\n")
    (one.root / "supervisord.conf").touch()
    one.git("init", "--quiet", "--initial-branch=main")
    one.version("old", "v1.0.0")
    monkeypatch.setenv("PATH", f"{one.programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MAKEFLAGS", "-- VERSION=x")
    return one


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

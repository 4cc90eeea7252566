"""The order of an upgrade and of the way back, with real git and a fake docker; tests/stack has it in real Docker."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse.errors import UpgradeError
from glasshouse.maintenance import upgrade
from glasshouse.settings import Settings, load

_CHAT = "/v1/chat/completions"
_STREAM = ['{"choices": [{"delta": {"content": "x"}}]}', '{"choices": [], "usage": {"completion_tokens": 3}}', "[DONE]"]


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
def place(tmp_path: Path, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Place:
    fake_api.answers |= {
        "/healthz": (200, {"status": "ready"}),
        "/v1/models": (200, {"data": [{"id": "demo"}]}),
        f"{_CHAT}#stream": (200, _STREAM),
        _CHAT: (200, {"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": 4}}),
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
    git = shutil.which("git")
    assert git is not None
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


def settings(place: Place, tmp_path: Path) -> Settings:
    one = load(place.root, {"PATH": os.environ["PATH"], "SHAPE": "cpu"})
    one.secrets_dir.mkdir(exist_ok=True)
    (tmp_path / "key").write_text("sk-1\n")
    return one


def run(place: Place, tmp_path: Path, to: str | None = None) -> None:
    upgrade.upgrade(settings(place, tmp_path), to, tmp_path / "key")


def test_the_newest_tag_is_taken_and_the_images_of_before_are_kept(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, tag in (("nine", "v1.9.0"), ("new", "v1.10.0"), ("early", "v2.0.0-rc1")):
        place.version(name, tag)
    place.git("switch", "--quiet", "--detach", "v1.0.0")
    run(place, tmp_path)
    assert place.did("make") == ["up on new", "smoke on new"]
    assert place.state["tags"]["glasshouse/api:glasshouse-previous"] == "sha256:api"
    assert "glasshouse/api:glasshouse-before" not in place.state["tags"]
    assert not any(call["makeflags"] for call in place.calls if call["program"] == "make")
    said = capsys.readouterr().out
    assert "From v1.0.0 to v1.10.0" in said
    assert "Upgraded from v1.0.0 to v1.10.0" in said
    (backup,) = (place.root / "backups").iterdir()
    assert "v1.0.0-before-upgrade" in backup.name
    place.calls.clear()
    run(place, tmp_path)
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "step"), [("broken-up", "make up"), ("broken-smoke", "make smoke")])
def test_a_version_that_fails_is_taken_back_code_first_and_only_what_it_wrote_to_is_restored(
    place: Place, tmp_path: Path, name: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.git("switch", "--quiet", "-c", "next")
    place.version(f"{name}-prometheus", "v1.1.0")
    place.git("switch", "--quiet", "main")
    with pytest.raises(
        UpgradeError, match=r"The upgrade to v1.1.0 failed. v1.0.0 is back, and serves.*prometheus-data"
    ):
        run(place, tmp_path)
    assert f"`{step}` of v1.1.0 failed" in capsys.readouterr().out
    assert place.git("symbolic-ref", "--short", "HEAD") == "main"
    assert place.restored() == ["glasshouse_prometheus-data"]
    assert place.state["tags"]["glasshouse/api:tag"] == "sha256:api"
    assert "glasshouse/api:glasshouse-before" not in place.state["tags"]
    after = place.did("docker", "make")
    after = after[after.index(f"up on {name}-prometheus") :]
    assert [one for one in after if not one.startswith("smoke on")] == [
        f"up on {name}-prometheus",
        "stop on old",
        "tag on old",
        "compose up on old",
    ]
    stops = [call["words"][1:] for call in place.calls if call["words"][0] == "stop"][-1]
    assert stops == [f"api-{name}-prometheus", f"prometheus-{name}-prometheus"]


def test_a_version_that_did_not_touch_the_data_has_nothing_restored(place: Place, tmp_path: Path) -> None:
    place.version("broken-up", "v1.1.0")
    place.git("switch", "--quiet", "--detach", "v1.0.0")
    with pytest.raises(UpgradeError, match="code and images of before; no data had been touched"):
        run(place, tmp_path)
    assert place.restored() == []
    assert place.git("describe", "--tags") == "v1.0.0"


def test_packages_that_the_other_version_changed_come_back(place: Place, tmp_path: Path) -> None:
    (place.root / ".gitignore").write_text(".run/\nbackups/\nsecrets/\n.venv*/\n")
    venv = place.root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/usr/bin/python3")
    for name in ("package", ".installed"):
        (venv / name).write_text("old")
    place.version("old", "v1.0.1")
    place.version("broken-up", "v1.1.0", **{"requirements.lock": "package==2"})
    place.git("switch", "--quiet", "--detach", "v1.0.1")
    make = place.programs / "make"
    # As an installer does: a file is replaced, one is removed, one is new.
    installs = "[ -e requirements.lock ] && { rm .venv/package; echo new >.venv/package; touch .venv/more; }"
    make.write_text(f"#!/bin/sh\n{installs}\nexit 1\n")
    with pytest.raises(UpgradeError, match="is back"):
        run(place, tmp_path)
    assert (venv / "package").read_text() == "old"
    assert not (venv / "more").exists()
    assert not (place.root / ".venv-before").exists()
    assert (venv / ".installed").stat().st_mtime >= (place.root / "VERSION").stat().st_mtime


@pytest.mark.parametrize(
    ("to", "said"),
    [("v9", "no version 'v9' here"), ("--help", "no version '--help' here"), ("", "no tag like v1.2.3")],
)
def test_a_version_that_is_not_there_is_named(place: Place, tmp_path: Path, to: str, said: str) -> None:
    if not to:
        place.git("tag", "--delete", "v1.0.0")
    with pytest.raises(UpgradeError, match=said):
        run(place, tmp_path, to or None)


def test_changed_files_and_files_in_the_way_are_refused_before_anything_is_done(place: Place, tmp_path: Path) -> None:
    place.version("new", "v1.1.0", more="of the repository")
    place.git("switch", "--quiet", "--detach", "v1.0.0")
    (place.root / "more").write_text("mine\n")
    with pytest.raises(UpgradeError, match="more"):
        run(place, tmp_path)
    (place.root / "more").unlink()
    (place.root / "VERSION").write_text("mine\n")
    with pytest.raises(UpgradeError, match="not as the version has them: VERSION"):
        run(place, tmp_path)
    assert not (place.root / "backups").exists()
    assert not (place.programs / "calls.jsonl").exists()


def test_a_stack_that_does_not_serve_is_not_upgraded(place: Place, tmp_path: Path, fake_api: FakeApi) -> None:
    place.version("new", "v1.1.0")
    place.git("switch", "--quiet", "--detach", "v1.0.0")
    fake_api.answers[f"{_CHAT}#stream"] = (503, {"error": {"message": "no engine"}})
    with pytest.raises(Exception, match="no engine"):
        run(place, tmp_path)
    state = place.state
    for one in state["containers"].values():
        one["State"]["Status"] = "exited"
    (place.programs / "state.json").write_text(json.dumps(state))
    with pytest.raises(UpgradeError, match="An upgrade is of a stack that serves"):
        run(place, tmp_path)
    assert place.git("describe", "--tags") == "v1.0.0"
    assert not (place.root / "backups").exists()

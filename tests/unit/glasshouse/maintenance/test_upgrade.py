"""The order of an upgrade and of the way back, with real git and a fake docker; tests/stack has it in real Docker."""

import json
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import CHAT, FakeApi, Repository

from glasshouse.errors import UpgradeError
from glasshouse.maintenance import upgrade


def run(repository: Repository, tmp_path: Path, to: str | None = None) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    upgrade.upgrade(repository.settings, to, tmp_path / "key")


def test_the_newest_tag_is_taken_and_the_images_of_before_are_kept(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, tag in (("nine", "v1.9.0"), ("new", "v1.10.0"), ("early", "v2.0.0-rc1")):
        repository.version(name, tag)
    repository.git("switch", "--quiet", "--detach", "v1.0.0")
    run(repository, tmp_path)
    assert repository.did("make") == ["up on new", "smoke on new"]
    assert repository.state["tags"]["glasshouse/api:glasshouse-previous"] == "sha256:api"
    assert "glasshouse/api:glasshouse-before" not in repository.state["tags"]
    assert not any(call["makeflags"] for call in repository.calls if call["program"] == "make")
    message = capsys.readouterr().out
    assert "From v1.0.0 to v1.10.0" in message
    assert "Upgraded from v1.0.0 to v1.10.0" in message
    (backup,) = (repository.root / "backups").iterdir()
    assert "v1.0.0-before-upgrade" in backup.name
    repository.calls.clear()
    run(repository, tmp_path)
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "step"), [("broken-up", "make up"), ("broken-smoke", "make smoke")])
def test_a_version_that_fails_is_taken_back_code_first_and_only_what_it_wrote_to_is_restored(
    repository: Repository, tmp_path: Path, name: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("switch", "--quiet", "-c", "next")
    repository.version(f"{name}-prometheus", "v1.1.0")
    repository.git("switch", "--quiet", "main")
    with pytest.raises(
        UpgradeError, match=r"The upgrade to v1.1.0 failed. v1.0.0 is back, and serves.*prometheus-data"
    ):
        run(repository, tmp_path)
    assert f"`{step}` of v1.1.0 failed" in capsys.readouterr().out
    assert repository.git("symbolic-ref", "--short", "HEAD") == "main"
    assert repository.restored() == ["glasshouse_prometheus-data"]
    assert repository.state["tags"]["glasshouse/api:tag"] == "sha256:api"
    assert "glasshouse/api:glasshouse-before" not in repository.state["tags"]
    after = repository.did("docker", "make")
    after = after[after.index(f"up on {name}-prometheus") :]
    assert [each for each in after if not each.startswith("smoke on")] == [
        f"up on {name}-prometheus",
        "stop on old",
        "tag on old",
        "compose up on old",
    ]
    stops = [call["words"][1:] for call in repository.calls if call["words"][0] == "stop"][-1]
    assert stops == [f"api-{name}-prometheus", f"prometheus-{name}-prometheus"]


def test_a_version_that_did_not_touch_the_data_has_nothing_restored(repository: Repository, tmp_path: Path) -> None:
    repository.version("broken-up", "v1.1.0")
    repository.git("switch", "--quiet", "--detach", "v1.0.0")
    with pytest.raises(UpgradeError, match="the old code and images; no data had been touched"):
        run(repository, tmp_path)
    assert repository.restored() == []
    assert repository.git("describe", "--tags") == "v1.0.0"


def test_packages_that_the_other_version_changed_come_back(repository: Repository, tmp_path: Path) -> None:
    (repository.root / ".gitignore").write_text(".run/\nbackups/\nsecrets/\n.venv*/\n")
    venv = repository.root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/usr/bin/python3")
    for name in ("package", ".installed"):
        (venv / name).write_text("old")
    repository.version("old", "v1.0.1")
    repository.version("broken-up", "v1.1.0", **{"requirements.lock": "package==2"})
    repository.git("switch", "--quiet", "--detach", "v1.0.1")
    make = repository.programs / "make"
    # As an installer does: a file is replaced, one is removed, one is new.
    installs = "[ -e requirements.lock ] && { rm .venv/package; echo new >.venv/package; touch .venv/more; }"
    make.write_text(f"#!/bin/sh\n{installs}\nexit 1\n")
    with pytest.raises(UpgradeError, match="is back"):
        run(repository, tmp_path)
    assert (venv / "package").read_text() == "old"
    assert not (venv / "more").exists()
    assert not (repository.root / ".venv-before").exists()
    assert (venv / ".installed").stat().st_mtime >= (repository.root / "VERSION").stat().st_mtime


@pytest.mark.parametrize(
    ("to", "message"),
    [("v9", "no version 'v9' here"), ("--help", "no version '--help' here"), ("", "no tag like v1.2.3")],
)
def test_a_version_that_is_not_there_is_named(repository: Repository, tmp_path: Path, to: str, message: str) -> None:
    if not to:
        repository.git("tag", "--delete", "v1.0.0")
    with pytest.raises(UpgradeError, match=message):
        run(repository, tmp_path, to or None)


def test_changed_files_and_files_in_the_way_are_refused_before_anything_is_done(
    repository: Repository, tmp_path: Path
) -> None:
    repository.version("new", "v1.1.0", more="of the repository")
    repository.git("switch", "--quiet", "--detach", "v1.0.0")
    (repository.root / "more").write_text("mine\n")
    with pytest.raises(UpgradeError, match="more"):
        run(repository, tmp_path)
    (repository.root / "more").unlink()
    (repository.root / "VERSION").write_text("mine\n")
    with pytest.raises(UpgradeError, match="not as the version has them: VERSION"):
        run(repository, tmp_path)
    assert not (repository.root / "backups").exists()
    assert not (repository.programs / "calls.jsonl").exists()


def test_a_stack_that_does_not_serve_is_not_upgraded(repository: Repository, tmp_path: Path, fake_api: FakeApi) -> None:
    repository.version("new", "v1.1.0")
    repository.git("switch", "--quiet", "--detach", "v1.0.0")
    fake_api.answers[f"{CHAT}#stream"] = (503, {"error": {"message": "no engine"}})
    with pytest.raises(Exception, match="no engine"):
        run(repository, tmp_path)
    state = repository.state
    for each in state["containers"].values():
        each["State"]["Status"] = "exited"
    (repository.programs / "state.json").write_text(json.dumps(state))
    with pytest.raises(UpgradeError, match="An upgrade is of a stack that serves"):
        run(repository, tmp_path)
    assert repository.git("describe", "--tags") == "v1.0.0"
    assert not (repository.root / "backups").exists()

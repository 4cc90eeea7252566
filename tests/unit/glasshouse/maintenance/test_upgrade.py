"""The order of an upgrade and of the way back, with real git and a fake docker; tests/stack has it in real Docker."""

import json
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import CHAT, FakeApi, Place

from glasshouse.errors import UpgradeError
from glasshouse.maintenance import upgrade


def run(place: Place, tmp_path: Path, to: str | None = None) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    upgrade.upgrade(place.settings, to, tmp_path / "key")


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
    with pytest.raises(UpgradeError, match="the old code and images; no data had been touched"):
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
    fake_api.answers[f"{CHAT}#stream"] = (503, {"error": {"message": "no engine"}})
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

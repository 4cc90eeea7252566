"""An older layout of `secrets/` is moved: in whatever state it is, nothing is lost; a second run changes nothing."""

import os
import shutil
from pathlib import Path

import pytest

from glasshouse.errors import SecretsError
from glasshouse.secrets import bootstrap, engine_key, keys, layout
from glasshouse.settings import Settings, load

FLAT = ("keys.yaml", "engine-key", "grafana-password", "alert-url", "smtp-password", "hf-token")


@pytest.fixture
def flat(settings: Settings) -> Settings:
    """As version 0.1 left it, with what an owner may have added."""
    bootstrap.create_missing(settings, docker=True)
    secrets = settings.secrets_dir
    engine_key.next_file(settings).unlink()
    for path in (settings.keys_file, settings.engine_key_file, settings.grafana_password_file):
        path.rename(secrets / path.name)
        shutil.rmtree(path.parent)
    for name in ("alert-url", "smtp-password", "hf-token"):
        (secrets / name).write_text(f"the {name}\n")
    return settings


def contents(settings: Settings) -> dict[str, str]:
    secrets = settings.secrets_dir
    return {
        str(path.relative_to(secrets)): path.read_text()
        for path in secrets.rglob("*")
        if path.is_file() and "lock" not in path.name
    }


def test_every_file_goes_to_its_directory_and_a_second_run_changes_nothing(flat: Settings) -> None:
    before = contents(flat)
    assert bootstrap.create_missing(flat, docker=True) == ()
    after = contents(flat)
    assert after.pop("engine/engine-key.next")
    moved = {
        "keys.yaml": "gateway/keys.yaml",
        "engine-key": "engine/engine-key",
        "hf-token": "hub/hf-token",
        "grafana-password": "grafana/grafana-password",
        "alert-url": "grafana/alert-url",
        "smtp-password": "grafana/smtp-password",
    }
    assert after == {moved.get(name, name): text for name, text in before.items()}
    following = contents(flat)
    bootstrap.create_missing(flat, docker=True)
    assert contents(flat) == following


@pytest.mark.parametrize("cut_after", range(len(FLAT)))
def test_a_move_that_was_cut_short_is_completed(flat: Settings, cut_after: int) -> None:
    before = sorted(contents(flat).values())
    for name in FLAT[:cut_after]:
        new = next(flat.secrets_dir / d / name for d, names in _PLACES.items() if name in names)
        new.parent.mkdir(exist_ok=True)
        (flat.secrets_dir / name).rename(new)
    if cut_after:  # on another disk a file is copied first: it may be at both places
        (flat.secrets_dir / name).write_text(new.read_text())
    layout.migrate_flat(flat)
    assert sorted(contents(flat).values()) == before
    assert not any((flat.secrets_dir / name).exists() for name in FLAT)


_PLACES = {"gateway": {"keys.yaml"}, "engine": {"engine-key"}, "hub": {"hf-token"}, "grafana": {*FLAT[2:5]}}


def test_a_key_that_its_owner_moved_away_stays_away(flat: Settings) -> None:
    flat.api_key_file.unlink()
    assert bootstrap.create_missing(flat) == ()
    assert not flat.api_key_file.exists()


def test_two_files_that_differ_are_both_kept_and_named(flat: Settings) -> None:
    flat.engine_key_file.parent.mkdir()
    flat.engine_key_file.write_text("another\n")
    with pytest.raises(SecretsError, match=r"secrets/engine-key and .*secrets/engine/engine-key differ: remove"):
        bootstrap.create_missing(flat)
    assert flat.engine_key_file.read_text() == "another\n"
    assert (flat.secrets_dir / "engine-key").exists()


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_link_still_leads_to_the_same_file(flat: Settings, tmp_path: Path, is_absolute: bool) -> None:
    repository = tmp_path / "config"
    repository.mkdir()
    old, table = flat.secrets_dir / "keys.yaml", repository / "keys.yaml"
    old.rename(table)
    old.symlink_to(table if is_absolute else "../config/keys.yaml")
    bootstrap.create_missing(flat)
    assert not old.is_symlink()
    assert flat.keys_file.is_symlink()
    assert flat.keys_file.readlink().is_absolute() == is_absolute
    assert flat.keys_file.resolve() == table.resolve()


def test_a_link_that_leads_nowhere_is_moved_too(flat: Settings) -> None:
    old = flat.secrets_dir / "alert-url"
    old.unlink()
    old.symlink_to("not-there-yet")
    layout.migrate_flat(flat)
    new = flat.secrets_dir / "grafana" / "alert-url"
    assert new.is_symlink()
    (flat.secrets_dir / "not-there-yet").write_text("https://chat.example.org/hook\n")
    assert new.read_text().startswith("https://")


def test_what_a_setting_names_stays(flat: Settings, root: Path) -> None:
    named = load(root, {"KEYS_FILE": "secrets/keys.yaml", "ENGINE_KEY_FILE": "secrets/engine-key"})
    before = contents(named)
    bootstrap.create_missing(named)
    after = contents(named)
    assert after.pop("engine-key.next")
    assert (after["keys.yaml"], after["engine-key"]) == (before["keys.yaml"], before["engine-key"])
    assert not (named.secrets_dir / "gateway").exists()
    assert flat.secrets_dir == named.secrets_dir


def test_until_the_stack_is_started_keys_are_managed_where_it_reads_them(flat: Settings) -> None:
    assert layout.active_keys_file(flat) == flat.secrets_dir / "keys.yaml"
    keys.add(layout.active_keys_file(flat), keys.Entry("alice", keys.digest("sk-x")))
    bootstrap.create_missing(flat)
    assert layout.active_keys_file(flat) == flat.keys_file
    assert [entry.name for entry in keys.read(flat.keys_file)] == ["owner", "alice"]


def test_what_cannot_be_moved_is_named(flat: Settings) -> None:
    (flat.secrets_dir / "gateway").write_text("a file in its place")
    with pytest.raises(SecretsError, match=r"secrets/keys\.yaml cannot be moved to .*secrets/gateway/keys\.yaml"):
        bootstrap.create_missing(flat)
    assert os.path.lexists(flat.secrets_dir / "keys.yaml")

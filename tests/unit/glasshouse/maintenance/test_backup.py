"""Backup and restore of a checkout without Docker, by their real functions and by the real command."""

import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from tests.unit.glasshouse.maintenance.conftest import Checkout, tree

from glasshouse import settings as glasshouse_settings
from glasshouse.errors import BackupError
from glasshouse.maintenance import archive, backup, restore
from glasshouse.settings import Settings


def saved(settings: Settings) -> Path:
    """A backup where backups usually lie."""
    backup.backup(settings, None)
    return backup.existing(settings)[-1]


def command(settings: Settings, *words: str, limit: str = "") -> "subprocess.Popen[str]":
    environment = {**os.environ, **settings.given}
    return subprocess.Popen(
        ["bash", "-c", f'{limit} exec "$@"', "bash", sys.executable, "-m", "glasshouse", *words],
        cwd=settings.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_a_backup_holds_comes_back_in_an_empty_checkout(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = checkout("old"), checkout("new", used=False)
    (old.root / ".env").write_text("HTTPS_PORT=9443\n")
    (old.root / "compose.override.yaml").write_text("services: {}\n")
    file = saved(old)
    capsys.readouterr()
    restore.restore(new, file, force=False)
    assert tree(new.secrets_dir) == tree(old.secrets_dir)
    assert tree(new.run_dir / "prometheus" / "data") == tree(old.run_dir / "prometheus" / "data")
    assert (new.root / ".env").read_text() == "HTTPS_PORT=9443\n"
    assert (new.root / "compose.override.yaml").exists()
    assert not (new.root / "vllm.env").exists()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in new.secrets_dir.rglob("*")}
    assert modes["engine-key"] == 0o600
    assert modes["engine"] == 0o700
    assert "Start it: make up" in capsys.readouterr().out
    restore.restore(new, file, force=False)  # a second time changes nothing, and says nothing of FORCE


def test_a_backup_is_its_owners_alone_from_the_first_byte(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = checkout("one")
    seen: list[int] = []
    usual = archive.Writer.add

    def watched(writer: archive.Writer, part: object) -> object:
        (partial,) = (settings.root / "backups").iterdir()
        seen.append(stat.S_IMODE(partial.stat().st_mode))
        return usual(writer, part)  # type: ignore[arg-type]

    monkeypatch.setattr(archive.Writer, "add", watched)
    before = os.umask(0)
    try:
        file = saved(settings)
    finally:
        os.umask(before)
    assert set(seen) == {0o600}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_manifest_tells_version_shape_and_hashes(checkout: Checkout) -> None:
    with tarfile.open(saved(checkout("one"))) as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        made = json.load(content)
        assert (made["project"], made["schema"], made["shape"]) == ("glasshouse", 1, "native")
        assert {part["name"] for part in made["parts"]} >= {
            "settings",
            "secrets",
            "secrets/engine",
            "volumes/prometheus-data",
        }
        assert [part["file"] for part in made["parts"]] == tar.getnames()[:-1]


def test_keys_that_lie_elsewhere_and_links_are_kept(checkout: Checkout, tmp_path: Path) -> None:
    keys = str(tmp_path / "elsewhere" / "keys.yaml")
    old = checkout("old", KEYS_FILE=keys)
    outside = tmp_path / "own-key"
    old.api_key_file.rename(outside)
    old.api_key_file.symlink_to(outside)
    tls = tmp_path / "tls"
    (old.secrets_dir / "tls").rename(tls)
    (old.secrets_dir / "tls").symlink_to(tls)
    hashes = Path(keys).read_bytes()
    file = saved(old)
    Path(keys).unlink()
    new = checkout("new", used=False, KEYS_FILE=keys)
    restore.restore(new, file, force=False)
    assert Path(keys).read_bytes() == hashes
    assert new.api_key_file.read_bytes() == outside.read_bytes()
    assert not new.api_key_file.is_symlink()
    assert new.certificate.read_bytes() == (tls / "cert.pem").read_bytes()


def test_what_is_there_and_differs_is_refused_and_with_force_saved_first(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = checkout("old"), checkout("new")
    file, before = saved(old), tree(new.root)
    with pytest.raises(BackupError, match=r"something else here: secrets, .*Nothing has been changed.*FORCE=1"):
        restore.restore(new, file, force=False)
    assert tree(new.root) == before
    restore.restore(new, file, force=True)
    assert tree(new.secrets_dir) == tree(old.secrets_dir)
    (kept,) = backup.existing(new)
    assert "-before-restore" in kept.name
    capsys.readouterr()
    restore.restore(new, kept, force=True)
    assert {name: content for name, content in tree(new.root).items() if not name.startswith("backups/")} == before


def test_a_restore_removes_what_was_not_there_then(checkout: Checkout) -> None:
    settings = checkout("one")
    file = saved(settings)
    (settings.secrets_dir / "gateway" / "more").write_text("x")
    (settings.root / ".env").write_text("LOG_LEVEL=debug\n")
    restore.restore(settings, file, force=True)
    assert not (settings.secrets_dir / "gateway" / "more").exists()
    assert not (settings.root / ".env").exists()


def test_the_env_of_the_backup_says_where_its_secrets_go(checkout: Checkout, tmp_path: Path) -> None:
    old = checkout("old")
    (old.root / ".env").write_text("SECRETS_DIR=./mine\n")
    old.secrets_dir.rename(old.root / "mine")
    file = saved(glasshouse_settings.load(old.root, dict(old.given)))
    restore.restore(checkout("new", used=False), file, force=False)
    assert tree(tmp_path / "new" / "mine") == tree(tmp_path / "old" / "mine")
    assert not (tmp_path / "new" / "secrets").exists()


def test_every_cut_and_every_changed_byte_is_noticed_and_nothing_is_touched(checkout: Checkout, tmp_path: Path) -> None:
    whole = saved(checkout("old")).read_bytes()
    new, damaged = checkout("new", used=False), tmp_path / "damaged.tar"
    end = whole.rstrip(b"\0")
    wrong = [end[:size] for size in (*range(0, len(end), 512), len(end) - 1)]
    for place in range(0, len(end), 97):
        if whole[place]:  # between the parts are zeros, which nobody reads
            changed = bytearray(whole)
            changed[place] ^= 1
            wrong.append(bytes(changed))
    assert len(wrong) > 40
    for content in wrong:
        damaged.write_bytes(content)
        with pytest.raises(BackupError, match=r"damaged|incomplete|not a backup|newer"):
            restore.restore(new, damaged, force=True)
    assert tree(new.root) == {"supervisord.conf": b""}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b'{"project": "other"}', "is not a backup of Glasshouse"),
        (b"[]", "is not a backup of Glasshouse"),
        (b"no json", "is not a backup of Glasshouse"),
        (b'{"project": "glasshouse", "schema": 2, "version": "v9"}', r"made by a newer version, 'v9' \(schema 2"),
        (b'{"project": "glasshouse", "schema": 1}', "manifest of foreign.tar is damaged"),
        (
            b'{"project": "glasshouse", "schema": 1, "shape": "cloud", "parts": []}',
            "manifest of foreign.tar is damaged",
        ),
    ],
)
def test_another_programs_file_and_a_newer_versions_are_told_apart(
    checkout: Checkout, tmp_path: Path, manifest: bytes, message: str
) -> None:
    file = tmp_path / "manifest.json"
    file.write_bytes(manifest)
    with tarfile.open(tmp_path / "foreign.tar", "w") as tar:
        tar.add(file, "manifest.json")
    new = checkout("new", used=False)
    with pytest.raises(BackupError, match=message):
        restore.restore(new, tmp_path / "foreign.tar", force=True)
    assert tree(new.root) == {"supervisord.conf": b""}


def test_a_full_disk_leaves_no_file_and_says_so(checkout: Checkout) -> None:
    settings = checkout("one")
    (settings.run_dir / "prometheus" / "data" / "random").write_bytes(os.urandom(200_000))
    with command(settings, "backup", limit="ulimit -f 100;") as child:
        message = child.communicate(timeout=60)[0]
    assert child.returncode == 1
    assert "cannot be written: File too large. No part of it is left." in message
    assert list((settings.root / "backups").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_backup_leaves_no_file(checkout: Checkout, number: signal.Signals) -> None:
    settings = checkout("one")
    with (settings.run_dir / "prometheus" / "data" / "large").open("wb") as large:
        large.truncate(50_000_000_000)
    with command(settings, "backup") as child:
        while not list((settings.root / "backups").glob(".*")):
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(number)
        child.communicate(timeout=60)
    assert child.returncode == 130
    assert list((settings.root / "backups").iterdir()) == []


def test_what_a_killed_backup_has_left_is_removed_by_the_next(checkout: Checkout) -> None:
    settings = checkout("one")
    (settings.root / "backups").mkdir()
    (settings.root / "backups" / ".glasshouse-1.tar.partial").write_text("half of your secrets")
    assert [path.name for path in saved(settings).parent.iterdir()] == [backup.existing(settings)[0].name]


def test_nothing_to_save_a_file_that_is_there_and_another_command_are_refused(
    checkout: Checkout, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        backup.backup(checkout("empty", used=False), None)
    settings, there = checkout("one"), tmp_path / "there.tar"
    there.touch()
    with pytest.raises(BackupError, match="is there already"):
        backup.backup(settings, there)
    with backup.exclusive(settings), pytest.raises(BackupError, match="Another command"):
        backup.backup(settings, None)


def test_a_file_that_may_not_be_read_ends_the_backup_with_its_name(checkout: Checkout) -> None:
    settings = checkout("one")
    (settings.secrets_dir / "gateway" / "loop").symlink_to("loop")
    backup.backup(settings, None)  # a link that leads nowhere is no reason to save nothing
    if os.geteuid():
        settings.api_key_file.chmod(0)
        with pytest.raises(BackupError, match="api-key cannot be read: Permission denied"):
            backup.backup(settings, settings.root / "other.tar")

import errno
import os
import stat
from pathlib import Path

import pytest

from glasshouse.files import is_unwritable, locked, ownership_hint, resolve_links, write_atomically


def test_a_file_is_replaced_in_one_step_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as old:
        write_atomically(path, "neu: ü", mode=0o640)
        assert old.read() == "old"  # whoever has it open still sees all of it
    assert (path.read_text(encoding="utf-8"), stat.S_IMODE(path.stat().st_mode)) == ("neu: ü", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to("target")
    assert resolve_links(link) == target
    write_atomically(link, "text")
    assert link.is_symlink()
    assert target.read_text() == "text"
    link.unlink()
    link.symlink_to("link")
    with pytest.raises(OSError, match="Too many levels"):
        resolve_links(link)


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), pytest.raises(BlockingIOError), locked(path, wait=False):
        pass
    with locked(path, wait=False):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EROFS, True), (errno.EACCES, True), (errno.EPERM, True), (errno.ENOSPC, False), (errno.ENOENT, False)],
)
def test_which_errors_mean_that_nothing_may_be_written(number: int, expected: bool) -> None:
    assert is_unwritable(OSError(number, "")) is expected


def test_a_permission_error_is_explained_by_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "missing" / "file"))
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    owner = tmp_path.stat().st_uid
    assert ownership_hint(error) == f" It belongs to user {owner}: put sudo before the command."
    assert ownership_hint(FileNotFoundError(errno.ENOENT, "", "x")) == ""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ownership_hint(error) == ""

import io
import stat
from pathlib import Path

import pytest

from glasshouse.errors import BackupError
from glasshouse.stack.data import contents
from glasshouse.stack.data.files import DirectoryComponent, FilesComponent


def _packed(component: DirectoryComponent | FilesComponent) -> io.BytesIO:
    output = io.BytesIO()
    assert component.pack(output, accept_changed=False)
    output.seek(0)
    return output


def test_a_directory_comes_back_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "empty").mkdir(parents=True)
    (old / "key").write_text("secret")
    (old / "key").chmod(0o600)
    (old / "link").symlink_to("key")
    (old / "excluded").mkdir()
    (old / ".key.lock").touch()
    (tmp_path / "outside").write_text("behind a link")
    (old / "outside").symlink_to(tmp_path / "outside")
    packed = _packed(DirectoryComponent("secrets", old, ("excluded",)))

    new = tmp_path / "new"
    (new / "excluded").mkdir(parents=True)
    (new / "from-before").touch()
    DirectoryComponent("secrets", new, ("excluded",)).unpack(packed, ())
    assert sorted(path.name for path in new.iterdir()) == ["empty", "excluded", "key", "link", "outside"]
    assert stat.S_IMODE((new / "key").stat().st_mode) == 0o600
    assert (new / "link").readlink() == Path("key")
    assert not (new / "outside").is_symlink()
    assert (new / "outside").read_text() == "behind a link"


def test_single_files_are_restored_through_links_and_removed_where_the_backup_has_none(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1")
    files = {"env": tmp_path / "env", "more": tmp_path / "more"}
    packed = _packed(FilesComponent("settings", files))
    (tmp_path / "env").rename(tmp_path / "elsewhere")
    (tmp_path / "env").symlink_to("elsewhere")
    (tmp_path / "elsewhere").write_text("changed")
    (tmp_path / "more").touch()
    FilesComponent("settings", files).unpack(packed, ())
    assert (tmp_path / "env").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "A=1"
    assert not (tmp_path / "more").exists()


def test_what_is_packed_twice_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    component = DirectoryComponent("secrets", tmp_path)
    assert contents.read(_packed(component), "secrets") == contents.read(_packed(component), "secrets")


def test_a_directory_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    packed = _packed(DirectoryComponent("secrets", tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="cannot be restored"):
        DirectoryComponent("secrets", tmp_path / "file").unpack(packed, ())

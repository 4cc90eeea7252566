"""The file of a backup; what damages it is in test_backup.py."""

import io
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest

from glasshouse.errors import BackupError
from glasshouse.maintenance import archive
from glasshouse.maintenance.archive import Writer
from glasshouse.maintenance.manifest import Manifest


class FakeComponent:
    """Holds one file; the first attempts to read it find it changing."""

    def __init__(self, name: str, changes: int = 0, *, is_append_only: bool = False) -> None:
        self.name, self.is_append_only, self._changes = name, is_append_only, changes

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:
        with tarfile.open(fileobj=output, mode="w|gz") as tar:
            info = tarfile.TarInfo("file")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
        self._changes -= 1
        return accept_changed or self._changes < 0

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:
        raise NotImplementedError


def _write(path: Path, *components: FakeComponent) -> None:
    with path.open("w+b") as file:
        writer = Writer(file)
        for component in components:
            writer.add(component)
        writer.finish(Manifest("v1", "abc", "cpu", "2026-11-27", tuple(writer.parts)))


def test_components_are_found_by_name_after_every_byte_was_checked(tmp_path: Path) -> None:
    _write(tmp_path / "b.tar", FakeComponent("secrets/engine"), FakeComponent("volumes/data", changes=1))
    checked = archive.check(tmp_path / "b.tar")
    assert list(checked.contents) == ["secrets/engine", "volumes/data"]
    with checked.open("volumes/data") as stream, tarfile.open(fileobj=stream, mode="r|gz") as tar:
        assert [member.name for member in tar] == ["file"]


def test_what_keeps_changing_is_refused_unless_it_is_only_appended_to(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="volumes/data kept changing"):
        _write(tmp_path / "b.tar", FakeComponent("volumes/data", changes=9))
    _write(tmp_path / "b.tar", FakeComponent("volumes/valkey", changes=9, is_append_only=True))
    assert list(archive.check(tmp_path / "b.tar").contents) == ["volumes/valkey"]


def test_a_file_that_is_not_there_or_no_tar_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be read: No such file"):
        archive.check(tmp_path / "none.tar")
    (tmp_path / "text").write_text("no tar")
    with pytest.raises(BackupError, match="not a backup of Glasshouse"):
        archive.check(tmp_path / "text")

"""Preallocation: disk space is reserved or refused, never promised."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from gateway.preallocation import preallocate

if TYPE_CHECKING:
    from pathlib import Path


def _raise(number: int) -> Any:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fails


def test_the_space_is_on_disk(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        preallocate(file.fileno(), 70_000)
        stat = os.fstat(file.fileno())
    assert (stat.st_size, stat.st_blocks * 512 >= 70_000) == (70_000, True)


def test_a_full_disk_leaves_the_file_as_long_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "f").open("wb", buffering=0) as file:
        file.write(bytes(10))
        monkeypatch.setattr("gateway.preallocation.os.posix_fallocate", _raise(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            preallocate(file.fileno(), 70_000)
        assert os.fstat(file.fileno()).st_size == 10


def test_a_file_system_without_allocation_still_extends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.preallocation.os.posix_fallocate", _raise(errno.EOPNOTSUPP))
    with (tmp_path / "f").open("wb") as file:
        preallocate(file.fileno(), 70_000)
        assert os.fstat(file.fileno()).st_size == 70_000
        preallocate(file.fileno(), 10)
        assert os.fstat(file.fileno()).st_size == 70_000

"""Components that lie on this machine's own disk; those that only Docker reaches are in `stack.compose.volume`."""

import gzip
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from glasshouse.errors import BackupError
from glasshouse.files import copy_owner, ownership_hint, resolve_links
from glasshouse.stack.data import contents

_LEVEL = 1  # Prometheus' blocks are compressed already; higher levels cost time and win little


@dataclass(frozen=True, slots=True)
class FilesComponent:
    """Single files, each anywhere. Links are followed, and survive a restore of the file."""

    name: str
    files: Mapping[str, Path]
    is_append_only: bool = False

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:  # noqa: ARG002 - each file is read as one
        """See Component."""
        with _tar_gz(output) as tar:
            for name, path in self.files.items():
                if path.is_file():
                    _add(tar, resolve_links(path), name)
        return True

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:  # noqa: ARG002 - files hold no links
        """See Component."""
        missing = dict(self.files)
        for tar, member in contents.members(stream):
            path = missing.pop(contents.normalized(member.name), None)
            if path is not None and member.isreg():
                with _restore_errors(path):
                    target = resolve_links(path)
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    _write(tar, member, target)
        for path in missing.values():
            with _restore_errors(path):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class DirectoryComponent:
    """A directory, except for the entries in `excluded`. A link that leads out of it is saved as its target."""

    name: str
    directory: Path
    excluded: tuple[str, ...] = ()
    is_append_only: bool = False

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:  # noqa: ARG002 - nobody writes meanwhile
        """See Component."""
        top = self.directory.resolve()
        with _tar_gz(output) as tar:
            for path in self._files(top):
                name = str(path.relative_to(top))
                target = Path(os.path.realpath(path))
                if path.is_symlink() and not target.is_relative_to(top) and target.is_file():
                    _add(tar, target, name)
                elif path.is_symlink() or path.is_dir():
                    tar.add(path, name, recursive=False)
                elif path.is_file():
                    _add(tar, path, name)
        return True

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:
        """See Component."""
        with _restore_errors(self.directory):
            top = self.directory.resolve()
            top.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in reversed(self._files(top)):
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()
            for tar, member in contents.members(stream):
                name = contents.normalized(member.name)
                if name and name not in left_out:
                    _extract(tar, member, top / name)

    def _files(self, top: Path) -> list[Path]:
        """Everything in it, each directory before what it holds."""
        found: list[Path] = []

        def refuse(error: OSError) -> None:
            raise BackupError(f"{error.filename} cannot be read: {error.strerror}.{ownership_hint(error)}") from error

        for place, directories, files in os.walk(top, onerror=refuse):
            here = Path(place)
            if here == top:
                directories[:] = [name for name in directories if name not in self.excluded]
                files = [name for name in files if name not in self.excluded]  # noqa: PLW2901 - filtered
            found += [here / name for name in (*sorted(directories), *sorted(files)) if not contents.is_lock(name)]
        return sorted(found)


@contextmanager
def _tar_gz(output: BinaryIO) -> Iterator[tarfile.TarFile]:
    packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=output, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        yield tar


@contextmanager
def _restore_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{path} cannot be restored: {error.strerror or error}.{ownership_hint(error)}") from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.{ownership_hint(error)}") from error
    with file:
        tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), file)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(mode=member.mode & 0o777, exist_ok=True)
    elif member.issym():
        path.symlink_to(member.linkname)
    else:
        _write(tar, member, path)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while content is not None and (chunk := content.read(1024 * 1024)):
            file.write(chunk)
    path.chmod(member.mode & 0o777)
    copy_owner(path, path.parent)

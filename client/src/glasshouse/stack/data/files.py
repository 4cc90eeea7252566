"""The parts of a backup that lie on this machine's own disk; see one_shot.py for those that only Docker reaches."""

import gzip
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from glasshouse.errors import BackupError
from glasshouse.files import keep_owner, real, who_owns
from glasshouse.stack.data import contents

_LEVEL = 1  # Prometheus' blocks are compressed already; higher levels cost time and win little


class Part(Protocol):
    """Something that is backed up as a whole, and restored as one."""

    @property
    def name(self) -> str:
        """What it is, such as `secrets/engine`."""

    @property
    def may_change(self) -> bool:
        """Whether a copy is good that was made while it was being appended to."""

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:
        """Writes it as a tar.gz; false if it changed meanwhile and the copy is of no use.

        Raises:
            BackupError: It cannot be read.
            OSError: It cannot be written.
        """

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:
        """Puts what a tar.gz holds, but for `left_out`, in the place of what is there.

        Raises:
            BackupError: It cannot be written.
        """


@dataclass(frozen=True, slots=True)
class FilesPart:
    """Single files, wherever each lies. Links are followed, and stay when the file is restored."""

    name: str
    files: Mapping[str, Path]
    may_change: bool = False

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:  # noqa: ARG002 - each file is read at once
        """See Part."""
        with _tar_gz(output) as tar:
            for name, path in self.files.items():
                if path.is_file():
                    _add(tar, real(path), name)
        return True

    def unpack(self, stream: BinaryIO, left_out: tuple[str, ...]) -> None:  # noqa: ARG002 - files hold no links
        """See Part."""
        missing = dict(self.files)
        for tar, member in contents.members(stream):
            path = missing.pop(contents.normalized(member.name), None)
            if path is not None and member.isreg():
                with _refusals(path):
                    target = real(path)
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    _write(tar, member, target)
        for path in missing.values():
            with _refusals(path):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class DirectoryPart:
    """A directory, without what `excluded` names in it. Links that lead out of it are replaced by what they lead to."""

    name: str
    directory: Path
    excluded: tuple[str, ...] = ()
    may_change: bool = False

    def pack(self, output: BinaryIO, *, accept_changed: bool) -> bool:  # noqa: ARG002 - nobody writes meanwhile
        """See Part."""
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
        """See Part."""
        with _refusals(self.directory):
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
            raise BackupError(f"{error.filename} cannot be read: {error.strerror}.{who_owns(error)}") from error

        for place, directories, files in os.walk(top, onerror=refuse):
            here = Path(place)
            if here == top:
                directories[:] = [name for name in directories if name not in self.excluded]
                files = [name for name in files if name not in self.excluded]  # noqa: PLW2901 - the rest of it
            found += [here / name for name in (*sorted(directories), *sorted(files)) if not contents.is_lock(name)]
        return sorted(found)


@contextmanager
def _tar_gz(output: BinaryIO) -> Iterator[tarfile.TarFile]:
    packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=output, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        yield tar


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{path} cannot be restored: {error.strerror or error}.{who_owns(error)}") from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.{who_owns(error)}") from error
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
    keep_owner(path, path.parent)

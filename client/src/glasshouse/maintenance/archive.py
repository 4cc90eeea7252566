"""The file of a backup: a tar with a tar.gz for each component, and `manifest.json` at its end.

Each component is written as it comes, and its length filled into the header before it once it is known. So a backup
needs disk space for itself only, and one that was cut short has no manifest.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from glasshouse.errors import BackupError
from glasshouse.maintenance import manifest
from glasshouse.maintenance.manifest import Manifest, PartEntry
from glasshouse.stack.data import contents
from glasshouse.stack.data.base import Component
from glasshouse.stack.data.contents import Contents

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1024 * 1024
_MAX_ATTEMPTS = 3


class Writer:
    """Writes a backup into `file`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.parts: list[PartEntry] = []

    def add(self, component: Component) -> PartEntry:
        """Writes a component, again from its beginning if it changes while it is read.

        Raises:
            BackupError: It cannot be read.
            OSError: The disk is full.
        """
        header = self._file.tell()
        name = f"{component.name.replace('/', '-')}.tar.gz"
        for _ in range(_MAX_ATTEMPTS):
            self._file.seek(header + _BLOCK)
            self._file.truncate()
            counted = _Counted(self._file)
            if component.pack(cast("BinaryIO", counted), accept_changed=component.is_append_only):
                break
        else:
            raise BackupError(f"{component.name} kept changing while it was read: try again.")
        self._close(header, name, counted.count)
        entry = PartEntry(component.name, name, counted.count, counted.digest.hexdigest())
        self.parts.append(entry)
        return entry

    def finish(self, content: Manifest) -> None:
        """Writes the manifest and the end of the file.

        Raises:
            OSError: The disk is full.
        """
        header, encoded = self._file.tell(), content.to_json()
        self._file.seek(header + _BLOCK)
        self._file.write(encoded)
        self._close(header, manifest.NAME, len(encoded))
        self._file.write(bytes(2 * _BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _close(self, header: int, name: str, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._file.write(bytes(-size % _BLOCK))
        end = self._file.tell()
        self._file.seek(header)
        self._file.write(member.tobuf(format=tarfile.GNU_FORMAT))
        self._file.seek(end)


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup of which every byte has been checked: its manifest, what each component holds, and at which offset."""

    path: Path
    manifest: Manifest
    contents: Mapping[str, Contents]
    offsets: Mapping[str, int]

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The tar.gz of a component.

        Raises:
            OSError: The file is gone.
        """
        (entry,) = (part for part in self.manifest.parts if part.name == name)
        with self.path.open("rb") as file:
            file.seek(self.offsets[entry.file])
            yield cast("BinaryIO", _Section(file, entry.bytes))


def check(path: Path) -> Archive:
    """Reads a whole backup and compares it with its manifest.

    Raises:
        BackupError: It is no backup, or damaged, or made by a newer version, or not safe to unpack.
    """
    try:
        with path.open("rb") as file:
            offsets = _members(file, path)
            parsed = manifest.parse(_manifest(file, offsets, path), path.name)
            if missing := [part.name for part in parsed.parts if part.file not in offsets]:
                raise BackupError(f"{path.name} is damaged: {', '.join(missing)} is missing.")
            parts = {part.name: _check(file, offsets[part.file][0], part, path) for part in parsed.parts}
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error
    return Archive(path, parsed, parts, {name: offset for name, (offset, _) in offsets.items()})


def _members(file: BinaryIO, path: Path) -> dict[str, tuple[int, int]]:
    """Where each member's content begins, and its length."""
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar, suppress(tarfile.ReadError):
            # A file that was cut short ends in the middle of a member; those before it show whether it is ours.
            for member in tar:
                found[member.name] = member.offset_data, member.size
    except tarfile.TarError as error:
        raise BackupError(f"{path.name} is not a backup of Glasshouse.") from error
    return found


def _manifest(file: BinaryIO, offsets: dict[str, tuple[int, int]], path: Path) -> bytes:
    is_ours = bool(offsets.keys() & {manifest.NAME, "settings.tar.gz"})
    offset, size = offsets.get(manifest.NAME, (0, 1))
    file.seek(offset)
    content = file.read(size)
    if manifest.NAME not in offsets or len(content) < size:
        problem = "is incomplete: its end is missing" if is_ours else "is not a backup of Glasshouse"
        raise BackupError(f"{path.name} {problem}.")
    return content


def _check(file: BinaryIO, offset: int, part: PartEntry, path: Path) -> Contents:
    file.seek(offset)
    section = _Section(file, part.bytes)
    try:
        found = contents.read(cast("BinaryIO", section), part.name)
    except BackupError:
        section.drain()
        if section.digest.hexdigest() == part.sha256:
            raise
        found = None
    if found is None or section.digest.hexdigest() != part.sha256:
        raise BackupError(f"{path.name} is damaged: {part.name} is not as it was written.")
    return found


class _Counted(io.RawIOBase):
    """Counts and hashes what is written to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(cast("bytes", data)).cast("B")
        self._file.write(view)
        self.digest.update(view)
        self.count += view.nbytes
        return view.nbytes


class _Section(io.RawIOBase):
    """The next `size` bytes of a file, hashed as they are read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass

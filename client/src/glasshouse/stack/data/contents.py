"""What a component's tar.gz holds, and whether it is safe to unpack: nothing may lead out of its directory."""

import fnmatch
import hashlib
import posixpath
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from glasshouse.errors import BackupError

_CHUNK = 1024 * 1024
_MAX_LINKS = 40  # as the kernel's own limit for one path
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, OSError)
LOCK_FILES = (".lock", ".*.lock")  # what commands lock while they write: empty, and not worth saving


@dataclass(frozen=True, slots=True)
class Contents:
    """The files and links of a component by name: the content's SHA-256, or `-> target`.

    `left_out` are links that lead out of the component's directory. They are not unpacked.
    """

    entries: Mapping[str, str]
    left_out: tuple[str, ...]


def read(stream: BinaryIO, component: str) -> Contents:
    """Reads a component to its end.

    Raises:
        BackupError: It is damaged, or holds something that is not safe to unpack; the text names it.
    """
    entries: dict[str, str] = {}
    directories: list[str] = []
    links: dict[str, str] = {}
    try:
        for tar, member in members(stream):
            name = _name(member, component)
            if member.issym():
                links[name] = member.linkname
            elif member.isdir():
                directories.append(name)
            else:
                entries[name] = _digest(tar, member)
    except _DAMAGED as error:
        raise BackupError(f"Component {component!r} is damaged: {error}.") from error
    for name in (*entries, *directories, *links):
        if (parent := posixpath.dirname(name)) and _resolve(parent, links) is None:
            raise BackupError(f"Component {component!r} holds {name!r}, which lies behind a link that leads out of it.")
    inside = {name: f"-> {target}" for name, target in links.items() if _resolve(name, links) is not None}
    return Contents({**entries, **inside}, tuple(sorted(set(links) - set(inside))))


def members(stream: BinaryIO) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a tar.gz from a stream, each with the archive that it is read from.

    Raises:
        tarfile.TarError: It is damaged; so do EOFError, zlib.error and OSError mean.
    """
    with tarfile.open(fileobj=stream, mode="r|gz") as tar:
        for member in tar:
            yield tar, member
    while stream.read(_CHUNK):  # the padding: a pipe must be read to its end
        pass


def normalized(name: str) -> str:
    """A member's name without a leading `./`; empty for the directory itself."""
    return "" if (plain := posixpath.normpath(name)) == "." else plain


def is_lock(name: str) -> bool:
    """Whether this is a lock file that a command left behind."""
    return any(fnmatch.fnmatchcase(posixpath.basename(name), pattern) for pattern in LOCK_FILES)


def _name(member: tarfile.TarInfo, component: str) -> str:
    name = normalized(member.name)
    if name.startswith("/") or ".." in member.name.split("/"):
        raise BackupError(f"Component {component!r} holds {member.name!r}, which leads out of it.")
    if not (member.isreg() or member.isdir() or member.issym()):
        raise BackupError(f"Component {component!r} holds {name!r}, which is no file, directory or link.")
    if member.isreg() and member.mode & (stat.S_ISUID | stat.S_ISGID):
        raise BackupError(f"Component {component!r} holds {name!r}, which would run with its owner's rights (setuid).")
    return name


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest, content = hashlib.sha256(), tar.extractfile(member)
    while content is not None and (chunk := content.read(_CHUNK)):
        digest.update(chunk)
    return digest.hexdigest()


def _resolve(path: str, links: Mapping[str, str]) -> str | None:
    """Where `path` leads, resolved as the kernel would with these links; None where that is outside."""
    waiting, walked, followed = path.split("/")[::-1], list[str](), 0
    while waiting:
        step = waiting.pop()
        if step in {"", "."}:
            continue
        if step == "..":
            if not walked:
                return None
            walked.pop()
            continue
        walked.append(step)
        target = links.get("/".join(walked))
        if target is not None:
            followed += 1
            if target.startswith("/") or followed > _MAX_LINKS:
                return None
            walked.pop()
            waiting.extend(target.split("/")[::-1])
    return "/".join(walked)

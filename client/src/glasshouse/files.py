"""Files that are either the old text or the new one, never half of it."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes `text` (UTF-8) to `path` with the permissions `mode`, replacing what was there in one step.

    A symbolic link stays, and the file that it leads to is replaced, or made where it is missing. Written by root, the
    file belongs to whom the old one did, or the directory: the services read it as another user.

    Raises:
        OSError: The directory is missing or not writable, or the disk is full; `filename` is the file's own.
    """
    target = real(path)
    try:
        _replace(target, text, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def real(path: Path) -> Path:
    """The file that `path` leads to through symbolic links, whether it is there or not.

    Raises:
        OSError: The links lead in a circle.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def is_unwritable(error: OSError) -> bool:
    """Whether nothing may be written in a place: a read-only mount, or another user's."""
    return error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}


def _replace(path: Path, text: str, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        keep_owner(temporary, path if path.exists() else path.parent)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def keep_owner(path: Path, like: Path) -> None:
    """Gives `path` the owner and group of `like`, if root asks; nobody else may.

    Raises:
        OSError: One of them is not there.
    """
    if os.geteuid() == 0:
        wanted = like.stat()
        os.chown(path, wanted.st_uid, wanted.st_gid)


def who_owns(error: BaseException | None) -> str:
    """After an error about rights, whose file it is and the way in, as a sentence with a space before; else nothing."""
    if not isinstance(error, PermissionError) or not error.filename or os.geteuid() == 0:
        return ""
    path = Path(os.fsdecode(error.filename))
    for place in (path, *path.parents):
        with suppress(OSError):
            return f" It belongs to user {place.stat().st_uid}: put sudo before the command."
    return ""


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock file `path`, so that two commands at once do not undo each other's work.

    Raises:
        BlockingIOError: `wait` is false and another process holds the lock.
        OSError: The file cannot be made.
    """
    with path.open("a", encoding="utf-8") as file:
        path.chmod(0o600)
        keep_owner(path, path.parent)
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield

"""Atomic writes, locks and owners of files."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes `text` (UTF-8) to `path` with the permissions `mode`, replacing what was there in one step.

    A symbolic link stays, and the file that it leads to is replaced, or created where it is missing. If root writes it,
    it gets the owner of the old file, or of the directory: the services read it as another user.

    Raises:
        OSError: The directory is missing or not writable, or the disk is full; `filename` is that of the file.
    """
    target = resolve_links(path)
    try:
        _replace(target, text, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def resolve_links(path: Path) -> Path:
    """The file that `path` leads to through symbolic links, whether it exists or not.

    Raises:
        OSError: The links form a loop.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def is_unwritable(error: OSError) -> bool:
    """Whether an error means that nothing may be written there: a read-only mount, or another user's directory."""
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
        copy_owner(temporary, path if path.exists() else path.parent)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy_owner(path: Path, like: Path) -> None:
    """Gives `path` the owner and group of `like`, if we are root; nobody else may.

    Raises:
        OSError: One of them does not exist.
    """
    if os.geteuid() == 0:
        wanted = like.stat()
        os.chown(path, wanted.st_uid, wanted.st_gid)


def ownership_hint(error: BaseException | None) -> str:
    """For a permission error, a sentence (with a space before it) that names the owner and the remedy; else empty."""
    if not isinstance(error, PermissionError) or not error.filename or os.geteuid() == 0:
        return ""
    path = Path(os.fsdecode(error.filename))
    for place in (path, *path.parents):
        with suppress(OSError):
            return f" It belongs to user {place.stat().st_uid}: put sudo before the command."
    return ""


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock file `path`, so that concurrent commands do not undo each other's work.

    Raises:
        BlockingIOError: `wait` is false and another process holds the lock.
        OSError: The file cannot be created.
    """
    with path.open("a", encoding="utf-8") as file:
        path.chmod(0o600)
        copy_owner(path, path.parent)
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield

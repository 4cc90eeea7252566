"""Whether a file has changed since it was read, without reading it again."""

from pathlib import Path


def file_signature(path: Path) -> tuple[int, int, int] | None:
    """Modification time in nanoseconds, inode and size in bytes; None for a file that cannot be asked.

    It differs after a write in place, and after a rename over the file.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size

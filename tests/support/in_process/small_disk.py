"""A file system of a few kilobytes, in memory, for one program alone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 16 * 1_048_576
_MOUNT = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"'


def on_small_disk(directory: Path, options: str) -> tuple[str, ...]:
    """The beginning of a command that runs with a tmpfs at `directory`; it keeps its pid.

    Args:
        directory: Where; others see what is below the mount.
        options: Of the tmpfs, such as `size=64k`.

    A test is skipped where this user may not mount: Ubuntu's and many containers' kernels give others no namespaces.
    """
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = ("unshare", "--mount", *rights, "sh", "-c", _MOUNT, options, str(directory))
    tried = subprocess.run((*command, "true"), capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this user may not mount: {tried.stderr.strip()}")
    return command


def as_seen_by(pid: int, path: Path) -> Path:
    """A path in the mount namespace of another process."""
    return path.__class__(f"/proc/{pid}/root{path}")


def fill(directory: Path) -> Path:
    """Takes all that is left of a small disk, which has to be mounted; returns the file that takes it."""
    assert os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize < _MAX_BYTES, "this is another disk"
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    return filler

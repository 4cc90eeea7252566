"""Undoes a drill whose process was killed.

The drill holds the other end of this process's standard input. When the word `done` comes, there is nothing left to
undo. When the pipe closes without it, the drill is gone, and this process becomes `glasshouse drill --undo`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from glasshouse.settings import Settings

_DONE = b"done"


def main() -> None:
    """Waits for the word or the end; returns, or replaces itself with `glasshouse drill --undo`."""
    if sys.stdin.buffer.read() != _DONE:
        os.execv(sys.executable, [sys.executable, "-m", "glasshouse", "drill", "--undo"])  # noqa: S606 - no shell is wanted


@contextmanager
def guard(settings: Settings) -> Iterator[None]:
    """While inside, a process undoes the drill should this one be killed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "glasshouse.drill.guard"],
        cwd=settings.root,
        env=dict(settings.given),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with suppress(OSError):  # it has been killed, too
            child.communicate(_DONE)


if __name__ == "__main__":
    main()

"""Ends a stack whose `up` was killed half-way, so that nothing is orphaned.

`up` holds the other end of this process's standard input. When the word `keep` comes, the stack may stay. When the
pipe closes without it, `up` is gone in the middle of its work, and this process becomes `glasshouse down`. Not psutil:
the kernel closes a pipe at the moment of a death, which polling would see later.
"""

import os
import sys

KEEP = b"keep"


def main() -> None:
    """Waits for the word or the end; returns, or replaces itself with `glasshouse down`."""
    if sys.stdin.buffer.read() != KEEP:
        os.execv(sys.executable, [sys.executable, "-m", "glasshouse", "down"])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()

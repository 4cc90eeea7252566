"""The limit of open files: each request holds a socket, and recent versions of Docker start at a limit of 1,024."""

import contextlib
import resource

# The 2,048 connections of a gateway, and as many again for a second one and the engine's own files.
_MIN_OPEN_FILES = 4096


def raise_open_files_limit() -> str | None:
    """Raise this process's soft limit of open files to the hard one, which the engine inherits.

    Returns:
        A warning when that is still too low, else None.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems say "no limit" and refuse it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _MIN_OPEN_FILES:
        return None
    return (
        f"RLIMIT_NOFILE={soft} (ulimit -Hn): the engine may open {soft} files and each request holds one, so it serves "
        f"fewer than {soft} requests at a time; raise the limit to {_MIN_OPEN_FILES}."
    )

"""File descriptors of this process: their limit, and what is unread in a socket."""

import array
import asyncio
import contextlib
import fcntl
import os
import resource
import termios


def raise_descriptor_limit() -> None:
    """Raises the limit of open descriptors to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems report "no limit" and refuse it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_descriptors() -> int:
    """The number of descriptors that this process can still open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 1 << 30 if soft == resource.RLIM_INFINITY else soft
    with os.scandir("/dev/fd") as entries:
        return limit - (sum(1 for _ in entries) - 1)  # less the one that lists them


def has_unread_data(transport: asyncio.Transport) -> bool:
    """Whether the socket holds received data that has not been read yet."""
    size = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, size)
    except (OSError, ValueError):  # it has just been closed
        return False
    return size[0] > 0

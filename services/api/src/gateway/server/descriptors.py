"""What the kernel says of this process's descriptors."""

import array
import asyncio
import contextlib
import fcntl
import os
import resource
import termios


def raise_descriptors() -> None:
    """Raises the process's limit of open descriptors as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems say "no limit" and refuse it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_descriptors() -> int:
    """How many more descriptors this process can open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 30 if soft == resource.RLIM_INFINITY else soft
    with os.scandir("/dev/fd") as opened:
        return most - (sum(1 for _ in opened) - 1)  # the one that lists them


def unread(transport: asyncio.Transport) -> bool:
    """Whether the other side has sent something that nobody has read yet."""
    size = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, size)
    except (OSError, ValueError):  # it has just been closed
        return False
    return size[0] > 0

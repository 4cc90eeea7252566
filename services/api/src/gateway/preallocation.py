"""Preallocation: reserves the disk space of a file before it is memory-mapped.

A write to a mapped page that the disk has no space for kills the process with SIGBUS.
"""

import errno
import os
import sys

# How a file system says that it does not support allocation.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def preallocate(descriptor: int, size: int) -> None:
    """Allocates the first `size` bytes of a file on disk, so that writing to a mapping of them cannot fail.

    Raises:
        OSError: There is no space for them; the file is left as long as it was.
    """
    before = os.fstat(descriptor).st_size
    try:
        if sys.platform != "darwin":
            os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            os.ftruncate(descriptor, before)
            raise
    if os.fstat(descriptor).st_size < size:  # a file system without allocation
        os.ftruncate(descriptor, size)

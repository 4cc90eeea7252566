"""prometheus-client's mapped files, on disks that may be full.

prometheus-client makes its files sparse: where there is no room for a page of theirs, the first counter in it kills the
process with SIGBUS, and the next worker too. Here a page is allocated before it is mapped. Values for which there is no
room are kept in memory, and go into the file once there is.
"""

import errno
import os
import struct
import sys
from pathlib import Path
from typing import Any, ClassVar, cast

from loguru import logger
from prometheus_client.mmap_dict import MmapedDict

_INITIAL_SIZE = 65_536
# Length, key, padding, value and time: at most this much more than the key.
_OVERHEAD = 4 + 8 + 16
_VALUE = struct.Struct("dd")
_CANNOT_ALLOCATE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def allocate(descriptor: int, size: int) -> None:
    """Makes the first `size` bytes of a file exist on the disk, so that writing to a mapping of them cannot fail.

    Raises:
        OSError: There is no room for them.
    """
    before = os.fstat(descriptor).st_size
    try:
        if sys.platform != "darwin":
            os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_ALLOCATE:
            os.ftruncate(descriptor, before)
            raise
    if os.fstat(descriptor).st_size < size:  # a file system that cannot allocate
        os.ftruncate(descriptor, size)


class CounterFile(MmapedDict):
    """A file of counters; in place of prometheus-client's own, from which it has the format.

    Args:
        filename: Of the file, which may hold an earlier worker's values.
    """

    # All files of this process that have values without room, and what the disk said.
    short: ClassVar[dict["CounterFile", str]] = {}

    def __init__(self, filename: str) -> None:
        self._name = filename
        self._positions: dict[str, int] = {}
        self._unwritten: dict[str, tuple[float, float]] = {}
        self._m: Any = None
        self._f: Any = None
        try:
            self._open()
        except OSError as error:
            self._is_short(error)

    def read_value(self, key: str) -> tuple[float, float]:
        """See prometheus-client: value and time of a key, which is made if it is not there."""
        if key not in self._positions and not self._make_room(key):
            return self._unwritten.setdefault(key, (0.0, 0.0))
        return cast("tuple[float, float]", super().read_value(key))  # type: ignore[no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """See prometheus-client."""
        position = self._positions.get(key)
        if position is not None:
            self._m[position : position + _VALUE.size] = _VALUE.pack(value, timestamp)
        elif self._make_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        else:
            self._unwritten[key] = (value, timestamp)

    def close(self) -> None:
        """See prometheus-client."""
        self.short.pop(self, None)
        super().close()  # type: ignore[no-untyped-call]

    def retry(self) -> None:
        """Writes what there was no room for, if there is now."""
        try:
            if self._m is None and not self._open_new():
                return
            for key, (value, timestamp) in tuple(self._unwritten.items()):
                self._grow(key)
                super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
                del self._unwritten[key]  # from here on it is written where it is
        except OSError as error:
            self._is_short(error)
        else:
            del self.short[self]

    def _open(self) -> None:
        descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            allocate(descriptor, os.fstat(descriptor).st_size or _INITIAL_SIZE)
        finally:
            os.close(descriptor)
        super().__init__(self._name)  # type: ignore[no-untyped-call]

    def _open_new(self) -> bool:
        """Opens the file unless it holds an earlier worker's values: this one's would take their places."""
        file = Path(self._name)
        if file.exists() and file.stat().st_size:
            return False
        self._open()
        return True

    def _make_room(self, key: str) -> bool:
        """Whether there is room for a new key."""
        if self in self.short:
            return False
        try:
            self._grow(key)
        except OSError as error:
            self._is_short(error)
            return False
        return True

    def _grow(self, key: str) -> None:
        size = self._capacity
        while self._used + len(key.encode()) + _OVERHEAD > size:
            size *= 2
        if size > self._capacity:
            allocate(self._f.fileno(), size)
        # prometheus-client itself maps the file anew when it needs the room; its truncate() to this size does nothing.

    def _is_short(self, error: OSError) -> None:
        self.short[self] = error.strerror or str(error)


class RoomWatch:
    """Tells the log, once, that counters have no room, and once that they have it again."""

    def __init__(self) -> None:
        self._short = False

    def check(self) -> None:
        """Looks after what had no room. Now and then, and never while a counter moves: its lock is held then."""
        for file in tuple(CounterFile.short):
            file.retry()
        if bool(CounterFile.short) == self._short:
            return
        self._short = not self._short
        if self._short:
            why = next(iter(CounterFile.short.values()))
            logger.warning("METRICS_DIR has no room for counters ({}): /metrics leaves out what is new", why)
        else:
            logger.info("METRICS_DIR has room again: /metrics shows all that was counted")

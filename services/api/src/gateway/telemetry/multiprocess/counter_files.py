"""prometheus-client's memory-mapped counter files, safe on a full disk.

prometheus-client creates sparse files: when the disk has no space for one of their pages, the first counter in that
page kills the process with SIGBUS, and the next worker too. Here space is allocated before it is mapped. Values without
space are kept in memory, and written to the file as soon as there is some.
"""

import os
import struct
from pathlib import Path
from typing import Any, ClassVar, cast

from loguru import logger
from prometheus_client.mmap_dict import MmapedDict

from gateway.preallocation import preallocate

_INITIAL_SIZE = 65_536
# Length, key, padding, value and time: at most this much more than the key.
_OVERHEAD = 4 + 8 + 16
_VALUE = struct.Struct("dd")
_DOUBLE_SIZE = 8


class CounterFile(MmapedDict):
    """A file of counters, in prometheus-client's format and in place of its own class.

    Args:
        filename: The file, which may hold an earlier worker's values.
    """

    # The files of this process that have values without disk space, and the error of each.
    out_of_space: ClassVar[dict["CounterFile", str]] = {}

    def __init__(self, filename: str) -> None:
        self._name = filename
        self._positions: dict[str, int] = {}
        self._unwritten: dict[str, tuple[float, float]] = {}
        self._m: Any = None
        self._f: Any = None
        try:
            self._open()
        except OSError as error:
            self._record_shortage(error)

    def read_value(self, key: str) -> tuple[float, float]:
        """See prometheus-client: value and timestamp of a key, which is created if it does not exist."""
        if key not in self._positions and not self._reserve(key):
            return self._unwritten.setdefault(key, (0.0, 0.0))
        return cast("tuple[float, float]", super().read_value(key))  # type: ignore[no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """See prometheus-client."""
        position = self._positions.get(key)
        if position is not None:
            self._m[position : position + _VALUE.size] = _VALUE.pack(value, timestamp)
        elif self._reserve(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        else:
            self._unwritten[key] = (value, timestamp)

    def cell(self, key: str) -> "memoryview[float] | None":
        """The value of a key in the mapped file, as an array of one double; None while it has no space there.

        It stays the value's place when the file grows and is mapped anew: both mappings are of the same file.
        """
        position = self._positions.get(key)
        if position is None:
            return None
        return memoryview(self._m)[position : position + _DOUBLE_SIZE].cast("d")

    def close(self) -> None:
        """See prometheus-client. The mapping lasts as long as there are cells."""
        self.out_of_space.pop(self, None)
        self._m = None
        if self._f is not None:
            self._f.close()
            self._f = None

    def retry(self) -> None:
        """Writes the values that had no disk space, if there is some now."""
        try:
            if self._m is None and not self._open_new():
                return
            for key, (value, timestamp) in tuple(self._unwritten.items()):
                self._grow(key)
                super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
                del self._unwritten[key]  # from here on its value is updated in place
        except OSError as error:
            self._record_shortage(error)
        else:
            del self.out_of_space[self]

    def _open(self) -> None:
        descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            preallocate(descriptor, os.fstat(descriptor).st_size or _INITIAL_SIZE)
        finally:
            os.close(descriptor)
        super().__init__(self._name)  # type: ignore[no-untyped-call]

    def _open_new(self) -> bool:
        """Opens the file unless it holds an earlier worker's values, which this one's would overwrite."""
        file = Path(self._name)
        if file.exists() and file.stat().st_size:
            return False
        self._open()
        return True

    def _reserve(self, key: str) -> bool:
        """Whether there is space for a new key."""
        if self in self.out_of_space:
            return False
        try:
            self._grow(key)
        except OSError as error:
            self._record_shortage(error)
            return False
        return True

    def _grow(self, key: str) -> None:
        size = self._capacity
        while self._used + len(key.encode()) + _OVERHEAD > size:
            size *= 2
        if size > self._capacity:
            preallocate(self._f.fileno(), size)
        # prometheus-client itself remaps the file when it needs the space; its truncate() to this size does nothing.

    def _record_shortage(self, error: OSError) -> None:
        self.out_of_space[self] = error.strerror or str(error)


class DiskSpaceMonitor:
    """Logs once when counters run out of disk space, and once when they have it again."""

    def __init__(self) -> None:
        self._is_short = False

    def check(self) -> None:
        """Retries what had no space. Not to be called while a counter is incremented, which holds its lock."""
        for file in tuple(CounterFile.out_of_space):
            file.retry()
        if bool(CounterFile.out_of_space) == self._is_short:
            return
        self._is_short = not self._is_short
        if self._is_short:
            reason = next(iter(CounterFile.out_of_space.values()))
            logger.warning("METRICS_DIR has no space for counters ({}): /metrics leaves out new series", reason)
        else:
            logger.info("METRICS_DIR has space again: /metrics is complete")

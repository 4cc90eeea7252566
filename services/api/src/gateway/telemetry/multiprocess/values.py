"""The values of metrics in counter files: prometheus-client's `MmapedValue`, with a shorter path for an increment.

Each request increments some twenty values. prometheus-client looks for a fork and finds the value's place in its file
anew each time; a worker does not fork, and a value's place never changes. docs/measured.md has what that saves.
"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from prometheus_client.mmap_dict import mmap_key

from gateway.telemetry.multiprocess.counter_files import CounterFile

_DOUBLE = struct.Struct("d")
# One for all: they share files, and the log's thread counts too.
_LOCK = Lock()


class Value:
    """One value; see prometheus-client, which creates it.

    Attributes:
        open_file: Opens the file for a kind of metric, as in its name.
    """

    __slots__ = ("_end", "_file", "_key", "_start", "_timestamp", "_value")
    open_file: ClassVar[Callable[[str], CounterFile]]
    # Read by prometheus-client.
    _multiprocess = True

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        with _LOCK:
            self._file = self.open_file(f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ)
            self._key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
            self._value, self._timestamp = self._file.read_value(self._key)
            self._locate()

    def _locate(self) -> None:
        """Finds the value's place in its file; there is none while the disk is full."""
        self._start = self._file.position(self._key)
        self._end = self._start + _DOUBLE.size

    def _write(self) -> None:
        self._file.write_value(self._key, self._value, self._timestamp)
        self._locate()

    def inc(self, amount: float) -> None:
        """Adds to the value."""
        with _LOCK:
            self._value = value = self._value + amount
            if start := self._start:
                # Assigned as a slice: `pack_into` would write a zero first, which a scrape may read.
                self._file.memory[start : self._end] = _DOUBLE.pack(value)
            else:
                self._write()

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Sets the value, and its time where a gauge shows the most recent one."""
        with _LOCK:
            self._value, self._timestamp = value, timestamp or 0.0
            self._write()

    def get(self) -> float:
        """The value."""
        return self._value

    def set_exemplar(self, exemplar: Any) -> None:
        """Does nothing: the files hold no exemplars."""

    def get_exemplar(self) -> None:
        """There are none."""


def value_class(directory: Path, slot: int) -> type[Value]:
    """The class of this process's values, for `prometheus_client.values.ValueClass`.

    Args:
        directory: Where the files are.
        slot: In their names.
    """
    files: dict[str, CounterFile] = {}

    def open_file(kind: str) -> CounterFile:
        file = files.get(kind)
        if file is None:
            file = files[kind] = CounterFile(str(directory / f"{kind}_{slot}.db"))
        return file

    return type("SlotValue", (Value,), {"__slots__": (), "open_file": staticmethod(open_file)})

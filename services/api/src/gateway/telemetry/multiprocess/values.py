"""The values of metrics in counter files: prometheus-client's `MmapedValue`, with a shorter path for an increment.

Each request increments some twenty values. prometheus-client looks for a fork and finds the value's place in its file
anew each time; a worker does not fork, and a value's place never changes. docs/measured.md has what that saves.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from prometheus_client.mmap_dict import mmap_key

from gateway.telemetry.multiprocess.counter_files import CounterFile

# One for all: they share files, and the log's thread counts too.
_LOCK = Lock()


class _Files:
    """The files of one slot, each opened when it is first needed."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._directory = directory
        self._slot = slot
        self._files: dict[str, CounterFile] = {}

    def open(self, kind: str) -> CounterFile:
        """The file for a kind of metric, as in its name."""
        file = self._files.get(kind)
        if file is None:
            file = self._files[kind] = CounterFile(str(self._directory / f"{kind}_{self._slot}.db"))
        return file


class Value:
    """One value; see prometheus-client, which creates it.

    Attributes:
        files: Where this process's values are.
    """

    __slots__ = ("_cell", "_file", "_key", "_timestamp", "_value")
    files: ClassVar[_Files]
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
            self._file = self.files.open(f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ)
            self._key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
            self._value, self._timestamp = self._file.read_value(self._key)
            self._cell = self._file.cell(self._key)

    @property
    def cell(self) -> "memoryview[float] | None":
        """The value's place in its file, as an array of one double; None while it has no space there.

        Eight bytes are written at once: a scrape reads the old value or the new one.
        """
        return self._cell

    def inc(self, amount: float) -> None:
        """Adds to the value. Any thread may; to add to the cell is for one thread only."""
        with _LOCK:
            if (cell := self._cell) is not None:
                cell[0] += amount
            else:
                self._value += amount
                self._write()

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Sets the value, and its time where a gauge shows the most recent one."""
        with _LOCK:
            self._value, self._timestamp = value, timestamp or 0.0
            self._write()

    def get(self) -> float:
        """The value."""
        return self._value if self._cell is None else self._cell[0]

    def _write(self) -> None:
        self._file.write_value(self._key, self._value, self._timestamp)
        if self._cell is None:
            self._cell = self._file.cell(self._key)

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
    return type("SlotValue", (Value,), {"__slots__": (), "files": _Files(directory, slot)})

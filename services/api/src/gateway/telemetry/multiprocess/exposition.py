"""The exposition of /metrics: the sum over all workers' counter files, as text.

prometheus-client's own collector reads every name, label and help text of every file again at each scrape, and builds
objects only to print them. The description of a series never changes, nor does its offset in its file, so here both are
read once. Of thousands of series few change between two scrapes: a scrape compares each file with what it was, adds up
what has changed, and writes those lines anew. docs/measured.md has what that saves.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from gateway.telemetry.multiprocess.families import Gauge, GaugeFamily, HistogramFamily, Sum, SumFamily

_USED = struct.Struct("i")
_VALUE = struct.Struct("dd")
# Keys are padded with at least one space, so that the value after them is aligned to this many bytes.
_ALIGNMENT = 8
# A file starts with its used length and 4 unused bytes.
_FIRST_ENTRY = 8
# Entries that are compared at once with what they were: fewer cost more comparisons, more hold more that is unchanged.
_BLOCK = 32

Merge = Callable[[Gauge, float, float], None]


class MultiprocessExposition:
    """Renders the metrics of all workers.

    Args:
        directory: The counter files; see `slots`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._scrape = 0
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._families: dict[str, SumFamily | HistogramFamily | GaugeFamily] = {}
        self._sums: dict[bytes, Sum] = {}
        self._gauges: dict[bytes, Gauge] = {}
        self._layouts: dict[str, _Layout] = {}

    def render(self) -> bytes:
        """All metrics, in Prometheus' text format 0.0.4.

        Raises:
            ValueError: A file holds a kind of metric that cannot be merged; none in `Metrics` is.
        """
        with self._lock:
            self._scrape += 1
            # The oldest slot first, so that the order of the series does not change from one scrape to the next.
            paths = sorted(self._directory.glob("*.db"))
            if not self._layouts.keys() <= {path.name for path in paths}:
                self._forget()
            try:
                self._read(paths)
            except _ReplacedError:
                self._forget()
                self._read(paths)
            return b"".join(
                family.text(self._scrape) if isinstance(family, GaugeFamily) else family.text()
                for family in self._families.values()
            )

    def _read(self, paths: list[Path]) -> None:
        for path in paths:
            kind = path.stem.rpartition("_")[0]  # counter_0.db, gauge_livesum_0.db
            if kind in _APPEND_ONLY:
                self._read_sums(kind, path)
            elif kind in _MERGES:
                self._read_gauges(path, _MERGES[kind])
            else:
                raise ValueError(f"{path.name} holds metrics that cannot be merged")

    def _read_sums(self, kind: str, path: Path) -> None:
        """Reads a file that is only ever appended to: its keys are read once, and what has changed since."""
        inode, data = _read_file(path)
        layout = self._layouts.get(path.name)
        if layout is None:
            layout = self._layouts[path.name] = _Layout(path.name, inode)
        elif not layout.fits(inode, data):
            raise _ReplacedError
        for key, offset in _entries(data, layout.end):
            found = self._sums.get(key)
            if found is None:
                found = self._sums[key] = self._create_sum(kind, key)
            layout.add(key, offset, found)
        layout.update(data)

    def _create_sum(self, kind: str, key: bytes) -> Sum:
        metric, name, labels, help_text = json.loads(key)
        family = self._families.get(metric)
        if not isinstance(family, SumFamily | HistogramFamily):
            family_class = HistogramFamily if kind == "histogram" else SumFamily
            family = self._families[metric] = family_class(metric, kind, help_text)
        return family.add(name, labels)

    def _read_gauges(self, path: Path, merge: Merge) -> None:
        _, data = _read_file(path)
        for key, offset in _entries(data, _FIRST_ENTRY):
            found = self._gauges.get(key)
            if found is None:
                found = self._gauges[key] = self._create_gauge(key)
            value, timestamp = _VALUE.unpack_from(data, offset)
            if found.scrape != self._scrape:
                found.scrape, found.value, found.timestamp = self._scrape, value, timestamp
            else:
                merge(found, value, timestamp)

    def _create_gauge(self, key: bytes) -> Gauge:
        metric, name, labels, help_text = json.loads(key)
        family = self._families.get(metric)
        if not isinstance(family, GaugeFamily):
            family = self._families[metric] = GaugeFamily(metric, help_text)
        return family.add(name, labels)


class _ReplacedError(Exception):
    """A file is another one than before: all that was read may be gone."""


class _Layout:
    """The entries of one file, in blocks.

    Args:
        name: The file's.
        inode: The file's.

    Attributes:
        end: Where the next entry begins, in bytes.
    """

    def __init__(self, name: str, inode: int) -> None:
        self.end = _FIRST_ENTRY
        self._name = name
        self._inode = inode
        self._blocks: list[_Block] = []
        self._data = b""
        self._last = slice(0), b""

    def fits(self, inode: int, data: bytes) -> bool:
        """Whether it is still the same file: an inode may be reused, but not with the same key at the same offset."""
        offset, key = self._last
        return inode == self._inode and data[offset] == key

    def add(self, key: bytes, offset: int, series: Sum) -> None:
        """Adds the next entry."""
        if not self._blocks or len(self._blocks[-1].series) == _BLOCK:
            self._blocks.append(_Block(offset))
        self._blocks[-1].series.append((series, offset // _ALIGNMENT))
        self._blocks[-1].end = self.end = offset + _VALUE.size
        start = offset - _ALIGNMENT + (len(key) + _USED.size) % _ALIGNMENT - len(key)
        self._last = slice(start, start + len(key)), key

    def update(self, data: bytes) -> None:
        """Updates the series whose values differ from those of the last call."""
        before = self._data
        if data == before:
            return
        old_bytes = memoryview(before)
        values, old, name = memoryview(data).cast("d"), old_bytes.cast("d"), self._name
        size, known = len(old_bytes), len(old)
        for block in self._blocks:
            # Compares without a copy.
            if block.end <= size and data.startswith(old_bytes[block.start : block.end], block.start):
                continue
            for series, position in block.series:
                if position >= known or values[position] != old[position]:
                    series.update(name, values[position])
        self._data = data


class _Block:
    """Neighbouring entries of a file: where they are, in bytes, and each series with its value's offset in doubles."""

    __slots__ = ("end", "series", "start")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.series: list[tuple[Sum, int]] = []


def _read_file(path: Path) -> tuple[int, bytes]:
    """A file's inode and its used bytes: none for a file that is gone, or that was only just created."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0, b""
    try:
        header = os.pread(descriptor, _USED.size, 0)
        used = _USED.unpack(header)[0] if len(header) == _USED.size else 0
        return os.fstat(descriptor).st_ino, os.pread(descriptor, used, 0)
    finally:
        os.close(descriptor)


def _entries(data: bytes, position: int) -> Iterator[tuple[bytes, int]]:
    """Key and offset of each value, starting at a position."""
    while position < len(data):
        length = _USED.unpack_from(data, position)[0]
        position += _USED.size
        key = data[position : position + length]
        position += length + _ALIGNMENT - (length + _USED.size) % _ALIGNMENT
        yield key, position
        position += _VALUE.size


def _sum(series: Gauge, value: float, _: float) -> None:
    series.value += value


def _max(series: Gauge, value: float, _: float) -> None:
    series.value = max(series.value, value)


def _most_recent(series: Gauge, value: float, timestamp: float) -> None:
    if timestamp > series.timestamp:
        series.value, series.timestamp = value, timestamp


# A worker that takes over a slot continues in the files of these; their values add up.
_APPEND_ONLY = frozenset({"counter", "histogram", "summary"})
# How values of different workers are merged, by kind of gauge as in the file names.
_MERGES: dict[str, Merge] = {
    "gauge_livesum": _sum,
    "gauge_livemax": _max,
    "gauge_livemostrecent": _most_recent,
}

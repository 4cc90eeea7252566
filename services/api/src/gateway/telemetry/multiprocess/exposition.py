"""The exposition of /metrics: the sum over all workers' counter files, as text.

prometheus-client's own collector reads every name, label and help text of every file again at each scrape, and builds
objects only to print them. The description of a series never changes, nor does its offset in its file, so here both are
read once; a scrape only adds numbers and writes lines. docs/measured.md has what that saves.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

_USED = struct.Struct("i")
_VALUE = struct.Struct("dd")
# Keys are padded with at least one space, so that the value after them is aligned to this many bytes.
_ALIGNMENT = 8
# A file starts with its used length and 4 unused bytes.
_FIRST_ENTRY = 8

Merge = Callable[["_Series", float, float], None]


class MultiprocessExposition:
    """Renders the metrics of all workers.

    Args:
        directory: The counter files; see `slots`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._families: dict[str, _Family] = {}
        self._series: dict[tuple[str, bytes], _Series] = {}
        self._layouts: dict[str, _Layout] = {}
        self._scrape = 0
        self._lock = Lock()

    def render(self) -> bytes:
        """All metrics, in Prometheus' text format 0.0.4.

        Raises:
            ValueError: A file holds a kind of metric that cannot be merged; none in `Metrics` is.
        """
        with self._lock:
            self._scrape += 1
            # The oldest slot first, so that the order of the series does not change from one scrape to the next.
            for path in sorted(self._directory.glob("*.db")):
                self._add(path)
            lines = (line for family in self._families.values() for line in family.lines(self._scrape))
            return "".join(lines).encode()

    def _add(self, path: Path) -> None:
        kind = path.stem.rpartition("_")[0]  # counter_0.db, gauge_livesum_0.db
        merge = _MERGES.get(kind)
        if merge is None:
            raise ValueError(f"{path.name} holds metrics that cannot be merged")
        inode, data = _read(path)
        if kind in _APPEND_ONLY:
            self._add_append_only(kind, path.name, inode, data)
            return
        for key, offset in _entries(data, _FIRST_ENTRY):
            found = self._find(kind, key)
            value, timestamp = _VALUE.unpack_from(data, offset)
            if found.scrape != self._scrape:
                found.scrape, found.value, found.timestamp = self._scrape, value, timestamp
            else:
                merge(found, value, timestamp)

    def _add_append_only(self, kind: str, name: str, inode: int, data: bytes) -> None:
        """Adds a file that is only ever appended to: its keys are read once."""
        layout = self._layouts.get(name)
        if layout is None or not layout.fits(inode, data):
            layout = self._layouts[name] = _Layout(inode)
        for key, offset in _entries(data, layout.end):
            layout.add(key, offset, self._find(kind, key))
        values, scrape = memoryview(data).cast("d"), self._scrape
        for series, offset in layout.entries:
            if series.scrape != scrape:
                series.scrape, series.value = scrape, values[offset]
            else:
                series.value += values[offset]

    def _find(self, kind: str, key: bytes) -> "_Series":
        found = self._series.get((kind, key))
        if found is None:
            found = self._series[kind, key] = self._create(kind, key)
        return found

    def _create(self, kind: str, key: bytes) -> "_Series":
        metric, name, labels, help_text = json.loads(key)
        family = self._families.get(metric)
        if family is None:
            family_class = _Histogram if kind == "histogram" else _Family
            family = self._families[metric] = family_class(metric, kind.partition("_")[0], help_text)
        return family.add(name, labels)


class _Series:
    """One series, with its line as last rendered. `scrape` is the number of the last scrape that read its `value`."""

    __slots__ = ("line", "prefix", "rendered_value", "scrape", "timestamp", "value")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.scrape = 0
        self.value = 0.0
        self.timestamp = 0.0
        self.line = ""
        self.rendered_value: float | None = None

    def render(self, value: float) -> str:
        """The line with this value; most are unchanged since the last scrape."""
        if value != self.rendered_value:
            self.line, self.rendered_value = f"{self.prefix} {value!r}\n", value
        return self.line


class _Family:
    """A metric and its series, in the order in which they were first read."""

    def __init__(self, name: str, kind: str, help_text: str) -> None:
        full_name = f"{name}_total" if kind == "counter" else name
        escaped = help_text.replace("\\", r"\\").replace("\n", r"\n")
        self._head = f"# HELP {full_name} {escaped}\n# TYPE {full_name} {kind}\n"
        self._series: list[_Series] = []

    def add(self, name: str, labels: dict[str, str]) -> _Series:
        """A new series."""
        series = _Series(_prefix(name, labels))
        self._series.append(series)
        return series

    def lines(self, scrape: int) -> Iterator[str]:
        """The series that this scrape has read; a gauge of a worker that has exited is left out."""
        found = [series.render(series.value) for series in self._series if series.scrape == scrape]
        if found:
            yield self._head
            yield from found


class _Histogram(_Family):
    """A histogram: the files hold counts per bucket, the exposition cumulative ones."""

    def __init__(self, name: str, kind: str, help_text: str) -> None:
        super().__init__(name, kind, help_text)
        self._name = name
        self._groups: dict[str, _Group] = {}

    def add(self, name: str, labels: dict[str, str]) -> _Series:
        """See `_Family`."""
        series = _Series(_prefix(name, labels))
        bound = labels.pop("le", None)
        group = self._groups.setdefault(_prefix(self._name, labels), _Group(_prefix(f"{self._name}_count", labels)))
        if bound is None:
            group.sum = series
        else:
            group.buckets.append((float(bound), series))
            group.buckets.sort(key=lambda bucket: bucket[0])
        return series

    def lines(self, scrape: int) -> Iterator[str]:
        """See `_Family`."""
        yield self._head
        for group in self._groups.values():
            yield from group.lines(scrape)


class _Group:
    """The buckets of one set of labels, and their sum."""

    def __init__(self, prefix: str) -> None:
        self.buckets: list[tuple[float, _Series]] = []
        self.sum: _Series | None = None
        self._count = _Series(prefix)

    def lines(self, scrape: int) -> Iterator[str]:
        total = 0.0
        for _, series in self.buckets:
            if series.scrape == scrape:
                total += series.value
            yield series.render(total)
        yield self._count.render(total)
        if self.sum is not None:
            yield self.sum.render(self.sum.value)


class _Layout:
    """The entries of one file: each series and the offset of its value, in doubles."""

    def __init__(self, inode: int) -> None:
        self.entries: list[tuple[_Series, int]] = []
        self.end = _FIRST_ENTRY
        self._inode = inode
        self._last = slice(0), b""

    def fits(self, inode: int, data: bytes) -> bool:
        """Whether it is still the same file: an inode may be reused, but not with the same key at the same offset."""
        offset, key = self._last
        return inode == self._inode and data[offset] == key

    def add(self, key: bytes, offset: int, series: _Series) -> None:
        """Adds the next entry."""
        self.entries.append((series, offset // _ALIGNMENT))
        self.end = offset + _VALUE.size
        start = offset - _ALIGNMENT + (len(key) + _USED.size) % _ALIGNMENT - len(key)
        self._last = slice(start, start + len(key)), key


def _read(path: Path) -> tuple[int, bytes]:
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


def _prefix(name: str, labels: dict[str, str]) -> str:
    if not labels:
        return name
    pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _sum(series: _Series, value: float, _: float) -> None:
    series.value += value


def _max(series: _Series, value: float, _: float) -> None:
    series.value = max(series.value, value)


def _most_recent(series: _Series, value: float, timestamp: float) -> None:
    if timestamp > series.timestamp:
        series.value, series.timestamp = value, timestamp


# A worker that takes over a slot continues in the files of these.
_APPEND_ONLY = frozenset({"counter", "histogram"})
# How values of different workers are merged, by kind of metric as in the file names.
_MERGES: dict[str, Merge] = {
    "counter": _sum,
    "histogram": _sum,
    "gauge_livesum": _sum,
    "gauge_livemax": _max,
    "gauge_livemostrecent": _most_recent,
}

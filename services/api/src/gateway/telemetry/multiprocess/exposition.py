"""The page of /metrics: the sum over all workers' files, as text.

prometheus-client's own collector reads every name, label and help text of every file anew at each scrape, and builds
objects of them only to print them. What is said of a series never changes, nor does its place in its file, so here both
are read once; a scrape adds up numbers and writes lines. docs/measured.md has what that saves.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

_USED = struct.Struct("i")
_VALUE = struct.Struct("dd")
# Keys are padded, by one space at least, so that the value behind them lies on a multiple of this.
_ALIGNMENT = 8
# A file begins with its used length and 4 bytes of nothing.
_FIRST_ENTRY = 8

Merge = Callable[["_Series", float, float], None]


class MultiprocessExposition:
    """The metrics of all workers.

    Args:
        directory: Of prometheus-client's files; see `slots`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._families: dict[str, _Family] = {}
        self._series: dict[tuple[str, bytes], _Series] = {}
        self._layouts: dict[str, _Layout] = {}
        self._scrape = 0
        self._turn = Lock()

    def render(self) -> bytes:
        """The page, in Prometheus' text format 0.0.4.

        Raises:
            ValueError: A file holds a kind of metric that is not known here; no metric of the catalogue is.
        """
        with self._turn:
            self._scrape += 1
            # The oldest slot first, so that the order of what is shown does not change from one scrape to the next.
            for path in sorted(self._directory.glob("*.db")):
                self._add(path)
            lines = (line for family in self._families.values() for line in family.lines(self._scrape))
            return "".join(lines).encode()

    def _add(self, path: Path) -> None:
        kind = path.stem.rpartition("_")[0]  # counter_0.db, gauge_livesum_0.db
        merge = _MERGES.get(kind)
        if merge is None:
            raise ValueError(f"{path.name} is no file of metrics that can be added up")
        inode, data = _read(path)
        if kind in _STEADY:
            self._add_steady(kind, path.name, inode, data)
            return
        for key, place in _entries(data, _FIRST_ENTRY):
            found = self._find(kind, key)
            value, stamp = _VALUE.unpack_from(data, place)
            if found.scrape != self._scrape:
                found.scrape, found.value, found.stamp = self._scrape, value, stamp
            else:
                merge(found, value, stamp)

    def _add_steady(self, kind: str, name: str, inode: int, data: bytes) -> None:
        """Adds up a file that is only ever appended to: its keys are read once."""
        layout = self._layouts.get(name)
        if layout is None or not layout.fits(inode, data):
            layout = self._layouts[name] = _Layout(inode)
        for key, place in _entries(data, layout.end):
            layout.add(key, place, self._find(kind, key))
        values, scrape = memoryview(data).cast("d"), self._scrape
        for series, place in layout.all:
            if series.scrape != scrape:
                series.scrape, series.value = scrape, values[place]
            else:
                series.value += values[place]

    def _find(self, kind: str, key: bytes) -> "_Series":
        found = self._series.get((kind, key))
        if found is None:
            found = self._series[kind, key] = self._new(kind, key)
        return found

    def _new(self, kind: str, key: bytes) -> "_Series":
        metric, name, labels, text = json.loads(key)
        family = self._families.get(metric)
        if family is None:
            shape = _Histogram if kind == "histogram" else _Family
            family = self._families[metric] = shape(metric, kind.partition("_")[0], text)
        return family.add(name, labels)


class _Series:
    """One line. `scrape` is the number of the last one that found it, in which `value` is what was read."""

    __slots__ = ("line", "prefix", "scrape", "shown", "stamp", "value")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.scrape = 0
        self.value = 0.0
        self.stamp = 0.0
        self.line = ""
        self.shown: float | None = None

    def text(self, value: float) -> str:
        """The line with this value; most are the same as at the last scrape."""
        if value != self.shown:
            self.line, self.shown = f"{self.prefix} {value!r}\n", value
        return self.line


class _Family:
    """A metric and its series, in the order in which they were first seen."""

    def __init__(self, name: str, kind: str, text: str) -> None:
        shown = f"{name}_total" if kind == "counter" else name
        told = text.replace("\\", r"\\").replace("\n", r"\n")
        self._head = f"# HELP {shown} {told}\n# TYPE {shown} {kind}\n"
        self._all: list[_Series] = []

    def add(self, name: str, labels: dict[str, str]) -> _Series:
        """A new series."""
        series = _Series(_prefix(name, labels))
        self._all.append(series)
        return series

    def lines(self, scrape: int) -> Iterator[str]:
        """What this scrape has found; a gauge of a worker that has gone is not shown."""
        found = [series.text(series.value) for series in self._all if series.scrape == scrape]
        if found:
            yield self._head
            yield from found


class _Histogram(_Family):
    """A histogram: the files hold what fell into each bucket alone, the page what fell into it or one below."""

    def __init__(self, name: str, kind: str, text: str) -> None:
        super().__init__(name, kind, text)
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
            yield series.text(total)
        yield self._count.text(total)
        if self.sum is not None:
            yield self.sum.text(self.sum.value)


class _Layout:
    """Where the values of one file are, in doubles, and whose they are."""

    def __init__(self, inode: int) -> None:
        self.all: list[tuple[_Series, int]] = []
        self.end = _FIRST_ENTRY
        self._inode = inode
        self._last = slice(0), b""

    def fits(self, inode: int, data: bytes) -> bool:
        """Whether it is the same file still: its inode may be given again, but not with the same key in its place."""
        place, key = self._last
        return inode == self._inode and data[place] == key

    def add(self, key: bytes, place: int, series: _Series) -> None:
        """The next entry."""
        self.all.append((series, place // _ALIGNMENT))
        self.end = place + _VALUE.size
        begin = place - _ALIGNMENT + (len(key) + _USED.size) % _ALIGNMENT - len(key)
        self._last = slice(begin, begin + len(key)), key


def _read(path: Path) -> tuple[int, bytes]:
    """A file's inode, and its used bytes: none of a file that is gone, or that its worker has only just begun."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0, b""
    try:
        begin = os.pread(descriptor, _USED.size, 0)
        used = _USED.unpack(begin)[0] if len(begin) == _USED.size else 0
        return os.fstat(descriptor).st_ino, os.pread(descriptor, used, 0)
    finally:
        os.close(descriptor)


def _entries(data: bytes, position: int) -> Iterator[tuple[bytes, int]]:
    """Key and place of each value from a position on."""
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
    told = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{told}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _sum(series: _Series, value: float, _: float) -> None:
    series.value += value


def _max(series: _Series, value: float, _: float) -> None:
    series.value = max(series.value, value)


def _most_recent(series: _Series, value: float, stamp: float) -> None:
    if stamp > series.stamp:
        series.value, series.stamp = value, stamp


# A worker that takes a slot over goes on in the files of these.
_STEADY = frozenset({"counter", "histogram"})
# By the names of the files: the kinds of metric that the catalogue has.
_MERGES: dict[str, Merge] = {
    "counter": _sum,
    "histogram": _sum,
    "gauge_livesum": _sum,
    "gauge_livemax": _max,
    "gauge_livemostrecent": _most_recent,
}

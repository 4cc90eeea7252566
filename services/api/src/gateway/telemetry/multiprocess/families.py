"""The metrics of an exposition, with their series as lines of text. What has not changed is not written again."""

from collections.abc import Callable
from functools import partial

Labels = dict[str, str]


class Sum:
    """A series that is the sum of its values in several files: a counter, or a part of a histogram or a summary.

    Args:
        prefix: Its line up to the value.
        mark_stale: Called when its value has changed, once until it is read again.
    """

    __slots__ = ("_mark_stale", "_parts", "_prefix", "_value")

    def __init__(self, prefix: str, mark_stale: Callable[[], None]) -> None:
        self._prefix = prefix
        self._mark_stale = mark_stale
        self._parts: dict[str, float] = {}
        self._value: float | None = None  # until it is added up

    def update(self, file: str, value: float) -> None:
        """Sets its value in one file."""
        self._parts[file] = value
        if self._value is not None:
            self._value = None
            self._mark_stale()

    @property
    def value(self) -> float:
        """The sum."""
        if self._value is None:
            self._value = sum(self._parts.values())
        return self._value

    def line(self) -> str:
        """Its line."""
        return f"{self._prefix} {self.value!r}\n"


class SumFamily:
    """A counter or a summary, and its series in the order in which they were first read.

    Args:
        name: Of the metric.
        kind: Its type.
        help_text: What it tells.
    """

    def __init__(self, name: str, kind: str, help_text: str) -> None:
        self._lines = [head(name, kind, help_text).encode()]
        self._series: list[Sum] = []
        self._stale: list[int] = []
        self._text = b""

    def add(self, name: str, labels: Labels) -> Sum:
        """A new series."""
        position = len(self._series)
        series = Sum(prefix(name, labels), partial(self._stale.append, position))
        self._series.append(series)
        self._lines.append(b"")
        self._stale.append(position)
        return series

    def text(self) -> bytes:
        """Its part of the exposition."""
        if self._stale:
            for position in self._stale:
                self._lines[1 + position] = self._series[position].line().encode()
            self._stale.clear()
            self._text = b"".join(self._lines)
        return self._text


class HistogramFamily:
    """A histogram: the files hold counts per bucket, the exposition cumulative ones.

    Args:
        name: Of the metric.
        kind: Its type.
        help_text: What it tells.
    """

    def __init__(self, name: str, kind: str, help_text: str) -> None:
        self._name = name
        self._head = head(name, kind, help_text).encode()
        self._groups: dict[str, _Group] = {}
        self._text = b""

    def add(self, name: str, labels: Labels) -> Sum:
        """A new series."""
        own = {label: value for label, value in labels.items() if label != "le"}
        group = self._groups.get(found := prefix(self._name, own))
        if group is None:
            group = self._groups[found] = _Group(prefix(f"{self._name}_count", own), self._mark_stale)
        series = Sum(prefix(name, labels), group.mark_stale)
        group.add(series, prefix(name, labels), labels.get("le"))
        return series

    def _mark_stale(self) -> None:
        self._text = b""

    def text(self) -> bytes:
        """Its part of the exposition."""
        if not self._text:
            self._text = b"".join((self._head, *(group.text() for group in self._groups.values())))
        return self._text


class _Group:
    """The buckets of one set of labels, and their sum."""

    def __init__(self, count: str, mark_family_stale: Callable[[], None]) -> None:
        self._count = count
        self._mark_family_stale = mark_family_stale
        self._buckets: list[tuple[float, str, Sum]] = []
        self._sum: Sum | None = None
        self._text = b""

    def add(self, series: Sum, name: str, bound: str | None) -> None:
        """Adds the bucket with this upper bound; the sum has none."""
        if bound is None:
            self._sum = series
        else:
            self._buckets.append((float(bound), name, series))
            self._buckets.sort(key=lambda bucket: bucket[0])
        self.mark_stale()

    def mark_stale(self) -> None:
        """A series has changed."""
        self._text = b""
        self._mark_family_stale()

    def text(self) -> bytes:
        """Their lines."""
        if not self._text:
            total, lines = 0.0, []
            for _, name, series in self._buckets:
                total += series.value
                lines.append(f"{name} {total!r}\n")
            lines.append(f"{self._count} {total!r}\n")
            if self._sum is not None:
                lines.append(self._sum.line())
            self._text = "".join(lines).encode()
        return self._text


class Gauge:
    """One series of a gauge. `scrape` is the number of the last scrape that read its `value`."""

    __slots__ = ("prefix", "scrape", "timestamp", "value")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.scrape = 0
        self.value = 0.0
        self.timestamp = 0.0


class GaugeFamily:
    """A gauge, and its series in the order in which they were first read.

    Args:
        name: Of the metric.
        help_text: What it tells.
    """

    def __init__(self, name: str, help_text: str) -> None:
        self._head = head(name, "gauge", help_text)
        self._series: list[Gauge] = []

    def add(self, name: str, labels: Labels) -> Gauge:
        """A new series."""
        series = Gauge(prefix(name, labels))
        self._series.append(series)
        return series

    def text(self, scrape: int) -> bytes:
        """The series that this scrape has read: those of a worker that has exited are left out."""
        lines = [f"{series.prefix} {series.value!r}\n" for series in self._series if series.scrape == scrape]
        return "".join((self._head, *lines)).encode() if lines else b""


def head(name: str, kind: str, help_text: str) -> str:
    """The two lines before the series of a metric."""
    full_name = f"{name}_total" if kind == "counter" else name
    escaped = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {full_name} {escaped}\n# TYPE {full_name} {kind}\n"


def prefix(name: str, labels: Labels) -> str:
    """The line of a series up to its value."""
    if not labels:
        return name
    pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

"""How the command line looks: short aligned lines, and one line that changes while something is waited for."""

import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

_REPEAT_S = 10.0
_WIDTH = 100


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """The rows as lines with aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def indented(lines: Iterable[str], indent: str = "    ") -> str:
    """The lines, each moved in."""
    return "\n".join(f"{indent}{line}" for line in lines)


def duration(seconds: float) -> str:
    """A length of time as a person says it: `4.2 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: int) -> str:
    """A number of bytes as a person says it: `812 B`, `4.2 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":  # noqa: PLR2004 - as disks are sold
            break
        value /= 1000
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


class Progress:
    """What is being waited for and for how long: one changing line on a terminal, else a line at every change."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._began = time.monotonic()
        self._text = ""
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            print("\r\033[K", end="", flush=True)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def show(self, text: str) -> None:
        """Says that `text` is being waited for."""
        now = time.monotonic()
        if self._terminal:
            print(f"\r\033[K  {self.seconds:5.1f} s  {text[:_WIDTH]}", end="", flush=True)
        elif text != self._text or now - self._shown > _REPEAT_S:
            print(f"  {self.seconds:5.1f} s  {text[:_WIDTH]}", flush=True)
        else:
            return
        self._text, self._shown = text, now

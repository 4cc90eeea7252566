"""What the command line prints: aligned tables, and one line of progress while something is waited for.

Colours appear only on a terminal, and not where NO_COLOR is set. Nothing is wrapped or cut for the width of a terminal:
what is printed can be piped and pasted.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead, for programs (docs/command-line.md).")]

_REPEAT_S = 10.0
_UNLIMITED = 10_000  # columns: no table is that wide


def table(rows: Sequence[Sequence[str | Text]], indent: str = "  ", *, header: bool = False) -> str:
    """The rows as lines with aligned columns; the first one is bold if it is a `header`."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for number, row in enumerate(rows):
        cells = (cell if isinstance(cell, Text) else Text(cell) for cell in row)
        grid.add_row(*cells, style="bold" if header and number == 0 else None)
    console = Console(width=_UNLIMITED)
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(f"{indent}{line}".rstrip() for line in captured.get().splitlines())


def print_json(data: Mapping[str, Any]) -> None:
    """Prints data for programs: one JSON object, in ASCII whatever the terminal's character set is."""
    print(json.dumps(data, indent=2))


def print_error(text: str) -> None:
    """Prints why a command failed to standard error."""
    Console(stderr=True).print(Text(text, style="red"), soft_wrap=True)


def indented(lines: Iterable[str], indent: str = "    ") -> str:
    """The lines, each indented."""
    return "\n".join(f"{indent}{line}" for line in lines)


def duration(seconds: float) -> str:
    """A duration as a person writes it: `4.2 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


class Progress:
    """What is being waited for, and for how long: a live line on a terminal, otherwise a line for each change.

    Args:
        to_stderr: whether standard output is for something else.
    """

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._output = sys.stderr if to_stderr else sys.stdout
        console = Console(stderr=to_stderr)
        # Not the console's own answer, which FORCE_COLOR changes: a pipe gets lines, whatever their colour.
        is_live = self._output.isatty() and not console.is_dumb_terminal
        self._live = Live(console=console, transient=True, auto_refresh=False) if is_live else None
        self._began = time.monotonic()
        self._text = ""
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._live.console.show_cursor()  # a command that is killed leaves the terminal usable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def show(self, text: str) -> None:
        """Shows that `text` is being waited for."""
        now = time.monotonic()
        line = f"  {self.seconds:5.1f} s  {text}"
        if self._live is not None:
            self._live.update(Text(line, no_wrap=True, overflow="crop"), refresh=True)
        elif text != self._text or now - self._shown_at > _REPEAT_S:
            print(line, file=self._output, flush=True)
        else:
            return
        self._text, self._shown_at = text, now

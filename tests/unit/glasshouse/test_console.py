import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from rich.text import Text

from glasshouse.console import Progress, duration, print_error, table

_ESCAPE = "\x1b["
_TABLE = "from glasshouse.console import table; print(table([('NAME', '키'), ('[a]', 'b')], header=True))"
_PROGRESS = """
from glasshouse.console import Progress
with Progress() as progress:
    for text in ("gateway", "gateway", "nginx [1]" + "x" * 500):
        progress.show(text)
print("ready")
"""


def on_a_terminal(program: str, **environment: str) -> str:
    """What a Python program writes to a terminal."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=child, stderr=child, env={"TERM": "xterm", **environment}
    ) as process:
        os.close(child)
        written = b""
        with suppress(OSError):  # a terminal whose last writer has gone
            while piece := os.read(parent, 65_536):
                written += piece
        os.close(parent)
    assert process.returncode == 0, written
    return written.decode()


def in_a_pipe(program: str, **environment: str) -> str:
    """What it writes to a pipe."""
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", check=True
    ).stdout


def test_tables_are_aligned_and_have_no_trailing_space() -> None:
    assert table([("a", "bbb"), ("cc", "d")]) == "  a   bbb\n  cc  d"


def test_a_table_takes_wide_characters_and_brackets_as_they_are() -> None:
    rows: list[tuple[str | Text, ...]] = [
        ("키", "x"),
        ("[red]a[/red]", ":smile:"),
        ("b" * 200, Text("styled", style="red")),
    ]
    assert table(rows, indent="").splitlines() == [
        "키" + " " * 200 + "x",
        "[red]a[/red]" + " " * 190 + ":smile:",
        "b" * 200 + "  styled",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (3_725, "1 h 2 min"), (7_200, "2 h 0 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_colours_appear_on_a_terminal_only() -> None:
    assert _ESCAPE in on_a_terminal(_TABLE)
    assert _ESCAPE not in in_a_pipe(_TABLE)
    plain = on_a_terminal(_TABLE, TERM="dumb")
    assert _ESCAPE not in plain
    assert plain.splitlines() == ["  NAME  키", "  [a]   b"]


def test_no_color_takes_colours_away() -> None:
    error = "from glasshouse.console import print_error; print_error('wrong')"
    assert "\x1b[31m" in on_a_terminal(error)
    assert "\x1b[31m" not in on_a_terminal(error, NO_COLOR="1")


@pytest.mark.parametrize("text", ["[/] is not a path", "a" * 300, "한 줄\nand another"])
def test_an_error_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_error(text)
    assert capsys.readouterr() == ("", f"{text}\n")


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}], ids=["plain", "forced colours"])
def test_without_a_terminal_progress_is_a_line_for_each_change(environment: dict[str, str]) -> None:
    shown = in_a_pipe(_PROGRESS, **environment)
    assert [line.split()[2:][0] for line in shown.splitlines()[:-1]] == ["gateway", "nginx"]
    assert _ESCAPE not in shown
    assert "\r" not in shown


def test_progress_leaves_standard_output_to_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(to_stderr=True) as progress:
        progress.show("waiting")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.split()[2:] == ["waiting"]


def test_on_a_terminal_progress_is_one_line_that_goes_away() -> None:
    shown = on_a_terminal(_PROGRESS, COLUMNS="60")
    assert "nginx [1]" in shown
    assert "x" * 60 not in shown  # cut at the edge
    assert shown.rindex("\x1b[2K") > shown.rindex("nginx")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert shown.rstrip().endswith("ready")


def test_progress_counts_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now: Callable[[], float] = iter((100.0, 101.5)).__next__
    monkeypatch.setattr("glasshouse.console.time.monotonic", now)
    assert Progress().seconds == 1.5

"""What a person sees of an examination: a table, and the exit status."""

import textwrap
from collections.abc import Iterable

import typer

from glasshouse.doctor import examination
from glasshouse.doctor.finding import Finding
from glasshouse.errors import StackError
from glasshouse.screen import table
from glasshouse.settings import Settings
from glasshouse.stack.machine import Machine
from glasshouse.stack.shape import Shape

_WIDTH = 92  # of what was found; a remedy stays one line, to be pasted


def report(settings: Settings) -> None:
    """Prints every finding.

    Raises:
        Exit: With status 1, when one is a failure.
    """
    findings = examination.of_machine(settings)
    print(_table(findings))
    counts = [(sum(one.level == level for one in findings), level) for level in ("failure", "warning", "not checked")]
    said = ", ".join(_counted(count, level) for count, level in counts if count)
    print(f"\n{said or 'Nothing is wrong'}.")
    if counts[0][0]:
        raise typer.Exit(1)


def before_start(settings: Settings, there: Machine, chosen: Shape) -> None:
    """Prints what a start should be warned of.

    Raises:
        StackError: Something is wrong with which it would fail.
    """
    findings = examination.of_start(settings, there, chosen)
    if failures := [one for one in findings if one.level == "failure"]:
        raise StackError("\n".join(f"{one.subject}: {one.text}. {one.remedy}".rstrip() for one in failures))
    if warnings := [one for one in findings if one.level == "warning"]:
        print(f"\nBefore it starts (make doctor shows all that was looked at):\n{_table(warnings)}\n", flush=True)


def _table(findings: Iterable[Finding]) -> str:
    rows: list[tuple[str, str, str]] = []
    for one in findings:
        level = one.level.upper() if one.level in {"warning", "failure"} else one.level
        first, *others = textwrap.wrap(one.text, _WIDTH, break_long_words=False, break_on_hyphens=False)
        rows.extend(((level, one.subject, first), *(("", "", line) for line in others)))
        if one.remedy:
            rows.append(("", "", f"→ {one.remedy}"))
    return table(rows)


def _counted(count: int, level: str) -> str:
    return f"{count} {level}" + ("s" if count > 1 and level != "not checked" else "")

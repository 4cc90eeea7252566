"""The command `doctor` and the warnings before a start: findings as a table, and the exit status."""

import textwrap
from collections.abc import Iterable
from dataclasses import asdict

import typer
from rich.text import Text

from glasshouse.console import print_json, table
from glasshouse.doctor import checks
from glasshouse.doctor.finding import Finding, Level
from glasshouse.errors import ExitCode, StackError
from glasshouse.settings import Settings
from glasshouse.stack.machine import Machine
from glasshouse.stack.shape import Shape

_WIDTH = 92  # of what was found; a remedy stays one line, to be pasted
_STYLES: dict[Level, str] = {"warning": "yellow", "failure": "red"}


def report(settings: Settings, *, as_json: bool = False) -> None:
    """Prints every finding.

    Raises:
        Exit: With `ExitCode.FAILURE`, if one is a failure.
    """
    findings = checks.all_findings(settings)
    levels: tuple[Level, ...] = ("failure", "warning", "not checked")
    counts = {level: sum(finding.level == level for finding in findings) for level in levels}
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        print(_table(findings))
        summary = ", ".join(_counted(count, level) for level, count in counts.items() if count)
        print(f"\n{summary or 'No problems found'}.")
    if counts["failure"]:
        raise typer.Exit(ExitCode.FAILURE)


def before_start(settings: Settings, inspected: Machine, chosen: Shape) -> None:
    """Prints warnings before a start.

    Raises:
        StackError: A check failed, and so would the start.
    """
    findings = checks.start_findings(settings, inspected, chosen)
    if failures := [finding for finding in findings if finding.level == "failure"]:
        raise StackError(
            "\n".join(f"{finding.subject}: {finding.text}. {finding.remedy}".rstrip() for finding in failures)
        )
    if warnings := [finding for finding in findings if finding.level == "warning"]:
        print(f"\nBefore it starts (make doctor shows every check):\n{_table(warnings)}\n", flush=True)


def _table(findings: Iterable[Finding]) -> str:
    rows: list[tuple[str | Text, str, str]] = []
    for finding in findings:
        style = _STYLES.get(finding.level, "")
        level = Text(finding.level.upper() if style else finding.level, style=style)
        first, *others = textwrap.wrap(finding.text, _WIDTH, break_long_words=False, break_on_hyphens=False)
        rows.extend(((level, finding.subject, first), *(("", "", line) for line in others)))
        if finding.remedy:
            rows.append(("", "", f"→ {finding.remedy}"))
    return table(rows)


def _counted(count: int, level: str) -> str:
    return f"{count} {level}" + ("s" if count > 1 and level != "not checked" else "")

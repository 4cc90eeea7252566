"""The command line as a person runs it, in the test's own process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from glasshouse import cli


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


def runner(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as a person runs it in `root`, with only the variables of the test."""
    monkeypatch.chdir(root)
    no_programs = {"PATH": str(root / "bin")}

    def run(*arguments: str, **variables: str) -> Done:
        monkeypatch.setattr("glasshouse.settings.os.environ", no_programs | variables)
        monkeypatch.setattr(sys, "argv", ["glasshouse", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run

"""The tests that docs/failure-modes.md names exist, at the paths that it gives."""

import re
from functools import cache
from pathlib import Path

from tests.unit.docs.pages import ROOT, Page

_TESTS = ROOT / "tests"
_NAMED = re.compile(r"`(?P<file>[\w/]+\.py)(?:::(?P<test>test_\w+))?`")


@cache
def _tests(file: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^ *(?:async )?def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))


def _elsewhere(test: str) -> str:
    """Where a test of this name is, for the message of a failure."""
    places = [file.relative_to(_TESTS).as_posix() for file in sorted(_TESTS.rglob("test_*.py")) if test in _tests(file)]
    return f"it is in {', '.join(places)}" if places else "there is no test of that name"


def test_each_test_that_is_named_exists() -> None:
    named = [(match["file"], match["test"]) for match in _NAMED.finditer(Page("docs/failure-modes.md").text)]
    assert len(named) > 100
    wrong = []
    for file, test in named:
        place = _TESTS / file
        if test is None and not place.is_file():
            wrong.append(f"{file}: no such file")
        elif test is not None and not (place.is_file() and test in _tests(place)):
            wrong.append(f"{file}::{test}: {_elsewhere(test)}")
    assert not wrong, "\n".join(wrong)


def test_each_row_names_a_test() -> None:
    rows = [line for line in Page("docs/failure-modes.md").text.splitlines() if line.startswith("| ")]
    assert [row for row in rows if not row.startswith("| what fails ") and not _NAMED.search(row)] == []

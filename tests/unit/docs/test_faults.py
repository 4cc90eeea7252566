"""The tests that docs/faults.md names exist."""

import re

import pytest
from tests.unit.docs.pages import ROOT

_PLACES = (ROOT / "tests", ROOT / "tests/unit/gateway", ROOT / "tests/unit", ROOT / "tests/unit/glasshouse")
_NAMED = re.compile(r"(?P<file>[\w/]+\.py)|(?:::|…)(?P<test>test_\w+)")


def _rows() -> list[str]:
    lines = (ROOT / "docs/faults.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| fault ")]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[2:60])
def test_each_test_that_is_named_exists(row: str) -> None:
    texts = [""]
    for match in _NAMED.finditer(row):
        if match["file"]:
            found = [place / match["file"] for place in _PLACES if (place / match["file"]).is_file()]
            if not found and "/" not in match["file"]:
                found = list((ROOT / "tests").rglob(match["file"]))
            assert found, match["file"]
            texts = [file.read_text(encoding="utf-8") for file in found]
        else:
            assert any(f"def {match['test']}(" in text for text in texts), match["test"]

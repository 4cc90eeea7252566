from pathlib import Path

import pytest

from glasshouse.drill.journal import Changes, Journal
from glasshouse.errors import DrillError


def test_it_is_open_until_everything_is_undone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "drill.json")
    assert not journal.is_open
    journal.begin()
    journal.add(stopped="node-exporter")
    journal.add(silence="an-id")
    assert Journal(tmp_path / "drill.json").read() == Changes(("node-exporter",), ("an-id",))
    journal.remove(stopped="node-exporter")
    assert journal.read() == Changes((), ("an-id",))
    journal.remove(silence="an-id")
    assert journal.is_open
    journal.end()
    assert not journal.is_open
    assert journal.read() == Changes()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"stopped": 1, "silences": []}'])
def test_one_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "drill.json"
    path.write_text(text)
    with pytest.raises(DrillError, match="cannot be read"):
        Journal(path).read()

from pathlib import Path

import pytest

from gateway.yaml_file import read_yaml


class WrongError(Exception):
    pass


def read(path: Path) -> object:
    return read_yaml(path, "list", "make one", WrongError)


def test_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "l.yaml"
    file.write_text("a: [1, ü]", encoding="utf-8")

    assert read(file) == {"a": [1, "ü"]}


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(WrongError, match=r"^The list '.*/l\.yaml' does not exist: make one\.$"):
        read(tmp_path / "l.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", r"cannot be read: .*\.$"),
        (b"a: 1\nb: [hunter2", r"is not YAML that can be read: see line 2, column 12\.$"),
        (b"a: 2026-13-01", r"is not YAML that can be read \(month must be in 1\.\.12.*\)\.$"),
    ],
)
def test_it_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "l.yaml"
    file.write_bytes(content)

    with pytest.raises(WrongError, match=said) as raised:
        read(file)
    assert "hunter2" not in str(raised.value)

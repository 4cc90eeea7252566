import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.yaml_file import MAX_BYTES, read_yaml


class WrongError(Exception):
    pass


def read(path: Path) -> object:
    return read_yaml(path, "list", "make one", WrongError)


def test_the_content_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "l.yaml"
    file.write_text("a: [1, ü]", encoding="utf-8")

    assert read(file) == {"a": [1, "ü"]}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WrongError, match=r"^The list '.*/l\.yaml' does not exist: make one\.$"):
        read(tmp_path / "l.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", r"cannot be read: .*\.$"),
        (b"a: 1\nb: ]hunter2", r"is not valid YAML: see line 2, column 4\.$"),
        (b"a: 1\nb: [hunter2", r"is not valid YAML: see line 3, column 1\.$"),
        (b"a: 1\n\tb: hunter2", r"is not valid YAML: see line 2, column 1\.$"),
        (b"a: !hunter2 x", r"is not valid YAML: see line 1, column 4\.$"),
        (b"a: !!bool hunter2", r"is not valid YAML\.$"),
        (b"a: !!timestamp hunter2", r"is not valid YAML\.$"),
        (b'a: !!int ""', r"is not valid YAML\.$"),
        (b"a: 2026-13-01", r"is not valid YAML \(month must be in 1\.\.12.*\)\.$"),
    ],
)
def test_it_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "l.yaml"
    file.write_bytes(content)

    with pytest.raises(WrongError, match=message) as raised:
        read(file)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        "a: &x {k: 1}\nb: [{<<: *x, l: 2}, *x]",
        "[[1, [2, 3]], {a: [~, 1.5]}, &y [yes, 2026-01-02], *y, 0x1f]",
        "? a\n: - b\n  - - c\n    - d",
        "",
        "x: ''",
        "\ufeffkeys: []",
    ],
)
def test_the_content_is_what_pyyaml_reads(tmp_path: Path, content: str) -> None:
    file = tmp_path / "l.yaml"
    file.write_text(content, encoding="utf-8")
    assert read(file) == yaml.safe_load(content)


@pytest.mark.parametrize("nested", ["[", "- ", "{a: ", "? ", "[{b: "])
def test_a_million_levels_are_refused_and_kill_nobody(tmp_path: Path, nested: str) -> None:
    """In a process of its own: a stack that overflows in C cannot be caught."""
    file = tmp_path / "l.yaml"
    file.write_text(nested * 1_000_000)
    code = "import sys, pathlib, gateway.yaml_file as y; y.read_yaml(pathlib.Path(sys.argv[1]), 'x', '', OSError)"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"OSError: The x {str(file)!r} is not valid YAML.",
    )


def test_aliases_of_aliases_take_no_more_room_than_they_have_text(tmp_path: Path) -> None:
    file = tmp_path / "l.yaml"
    levels = [f"&a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 100)]
    file.write_text("".join(f"- {text}\n" for text in ("&a0 x", *levels)))
    content = read(file)
    assert isinstance(content, list)
    assert len(content) == 100


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "directory", "link to a FIFO"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "l.yaml"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    with pytest.raises(WrongError, match=r"^The list '.*/l\.yaml' cannot be read: [^\n]+\.$"):
        read(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "l.yaml"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(WrongError, match=f"it is larger than {MAX_BYTES:,} bytes"):
        read(path)

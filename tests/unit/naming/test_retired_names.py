"""Names and phrases that were replaced by the field's own terms stay replaced.

Each file in `retired/` is a list of entries: where it holds (`paths`: files or folders of the repository), Python
identifiers (`identifiers`, old: new), names of modules and folders (`modules`) and exact strings (`phrases`).
"""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
_HERE = Path(__file__).resolve().parent
_TEXT = {".py", ".md", ".yaml", ".yml", ".json", ".toml", ".sh", ".conf", ".template", ".example", ".txt", ""}


class Entry(NamedTuple):
    """One entry of a file in `retired/`."""

    paths: tuple[str, ...]
    identifiers: dict[str, str]
    modules: dict[str, str]
    phrases: dict[str, str]


def _entries() -> Iterator[tuple[str, Entry]]:
    for file in sorted((_HERE / "retired").glob("*.yaml")):
        for number, entry in enumerate(yaml.safe_load(file.read_text(encoding="utf-8")), start=1):
            found = Entry(
                tuple(entry["paths"]), *(entry.get(kind, {}) for kind in ("identifiers", "modules", "phrases"))
            )
            yield f"{file.stem}-{number}", found


_ENTRIES = dict(_entries())


@cache
def _files(path: str) -> tuple[Path, ...]:
    """The files below a path that are, or may come, under version control; of a test tree all that is there."""
    command = ("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", path)
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # no git, or an unpacked archive
        listed = [
            str(each.relative_to(ROOT)) for each in sorted((ROOT / path).rglob("*")) if "__pycache__" not in str(each)
        ]
    files = (ROOT / each for each in listed)
    return tuple(each for each in files if each.is_file() and each.suffix in _TEXT and _HERE not in each.parents)


@cache
def _identifiers(file: Path) -> frozenset[str]:
    """All names in a module: its own, what it defines, imports and uses."""
    names = {file.stem}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.keyword(arg=str(name)):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.update(name.split("."), {other or name})
            case ast.ImportFrom(module=str(name)):
                names.update(name.split("."))
    return frozenset(names)


def _path_names(place: Path) -> set[str]:
    return {*place.parts[:-1], place.stem}


@pytest.mark.parametrize("entry", _ENTRIES.values(), ids=_ENTRIES)
def test_retired_names_stay_retired(entry: Entry) -> None:
    wrong = []
    for path in entry.paths:
        files = _files(path)
        assert files, f"{path} is not in the repository: name where the entry holds now"
        for file in files:
            place = file.relative_to(ROOT)
            if file.suffix == ".py":
                wrong += [
                    f"{place}: {old} is now {new}"
                    for old, new in entry.identifiers.items()
                    if old in _identifiers(file)
                ]
            wrong += [f"{place}: {old} is now {new}" for old, new in entry.modules.items() if old in _path_names(place)]
            if entry.phrases:
                text = file.read_text(encoding="utf-8")
                wrong += [f"{place}: {old!r} is now {new!r}" for old, new in entry.phrases.items() if old in text]
    assert not wrong, "\n".join(wrong)


def test_the_lists_are_read() -> None:
    assert any(entry.modules for entry in _ENTRIES.values())

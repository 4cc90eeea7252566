"""keys.yaml: who may call the API. It holds SHA-256 hashes; a key itself is shown once, when it is made.

The gateway reads the same file and takes a change within five seconds. Comments that the owner wrote stay where they
are: the text is edited in place, and what it then says is checked before it replaces the old one.
"""

import dataclasses
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml

from glasshouse.errors import KeysError
from glasshouse.files import locked, real, who_owns, write_atomically

Role = Literal["user", "admin"]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_FIELDS = {"name", "sha256", "role", "expires", "models", "revoked"}
_HEADER = "# Who may call the API. Add: make key NAME=…   Revoke: make key NAME=… REVOKE=1   Taken within 5 s.\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its hash (64 hex digits), never the key. `models` of None means all of them."""

    name: str
    sha256: str
    role: Role = "user"
    expires: date | None = None
    models: tuple[str, ...] | None = None
    revoked: bool = False

    def state(self, today: date) -> str:
        """`valid`, `revoked` or `expired`; a key is good until the end (UTC) of the day that it names."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires is not None and today > self.expires else "valid"


def new_key() -> str:
    """A key with 256 random bits, in the form that OpenAI's clients know."""
    return "sk-" + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """The hash that stands for `key` in keys.yaml."""
    return hashlib.sha256(key.encode()).hexdigest()


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of keys.yaml; none when there is no file.

    Raises:
        KeysError: The file cannot be read or is not of the form; the text names the place.
    """
    return _parse(_text(path), path)


def add(path: Path, entry: Entry, *, rotate: bool = False) -> None:
    """Appends `entry`. With `rotate`, its name may exist: the old key and the new one are then both good.

    Raises:
        KeysError: The name is not allowed, exists already or does not exist (rotate), or the file is wrong.
        OSError: The file cannot be written.
    """
    if not _NAME.fullmatch(entry.name):
        raise KeysError(f"The name {entry.name!r} is not allowed: 1 to 64 of a-z, 0-9, _ and - are.")

    def change(text: str, entries: tuple[Entry, ...]) -> tuple[str, tuple[Entry, ...]]:
        namesakes = [other for other in entries if other.name == entry.name]
        if namesakes and not rotate:
            raise KeysError(
                f"A key named {entry.name!r} exists. A second one beside it: make key NAME={entry.name} ROTATE=1. "
                f"To end it: make key NAME={entry.name} REVOKE=1."
            )
        if rotate and not namesakes:
            raise KeysError(f"There is no key named {entry.name!r} to rotate: leave ROTATE out to make the first one.")
        if not text.strip():
            text = f"{_HEADER}keys:\n"
        return f"{text.rstrip()}\n{_block(entry, _indent(text))}", (*entries, entry)

    _edit(path, change)


def revoke(path: Path, name: str) -> int:
    """Marks every key of `name` as revoked and returns how many were good until now.

    Raises:
        KeysError: No key has that name, or the file is wrong.
        OSError: The file cannot be written.
    """
    count = 0

    def change(text: str, entries: tuple[Entry, ...]) -> tuple[str, tuple[Entry, ...]]:
        nonlocal count
        if all(entry.name != name for entry in entries):
            known = ", ".join(dict.fromkeys(entry.name for entry in entries)) or "none"
            raise KeysError(f"There is no key named {name!r}. There are: {known}.")
        wanted = [index for index, entry in enumerate(entries) if entry.name == name and not entry.revoked]
        count = len(wanted)
        for index in reversed(wanted):  # from the end, so that the places before it stay right
            text = _set_scalar(text, index, "revoked", "true")
        return text, tuple(
            dataclasses.replace(entry, revoked=True) if index in wanted else entry
            for index, entry in enumerate(entries)
        )

    if not path.exists():
        raise KeysError(f"There is no key named {name!r}: {path.name} does not exist yet.")
    _edit(path, change)
    return count


_Change = Callable[[str, tuple[Entry, ...]], tuple[str, tuple[Entry, ...]]]


def _edit(path: Path, change: _Change) -> None:
    target = real(path)  # beside it lies the lock, so that two links to one file share it
    with locked(target.with_name(f".{target.name}.lock")):
        text = _text(path)
        edited, expected = change(text, _parse(text, path))
        try:
            kept = _parse(edited, path) == expected
        except KeysError:
            kept = False
        # A form that cannot be edited in place (flow style, say) is written anew: right entries go before comments.
        write_atomically(path, edited if kept else _HEADER + "keys:\n" + "".join(_block(e, "  ") for e in expected))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{path.name} cannot be read: {error}.{who_owns(error)}") from error


def _parse(text: str, path: Path) -> tuple[Entry, ...]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KeysError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return ()
    if not isinstance(content, dict) or set(content) != {"keys"} or not isinstance(content["keys"], list | None):
        raise KeysError(f"{path.name} must hold one list named 'keys', and nothing beside it.")
    return tuple(_entry(item, f"{path.name}, keys.{index}") for index, item in enumerate(content["keys"] or []))


def _entry(item: Any, where: str) -> Entry:
    if not isinstance(item, dict) or not set(item) <= _FIELDS:
        raise KeysError(f"{where}: only the fields {', '.join(sorted(_FIELDS))} are allowed.")
    models = item.get("models")
    checks = {
        "name": isinstance(item.get("name"), str) and _NAME.fullmatch(item["name"]),
        "sha256": isinstance(item.get("sha256"), str) and re.fullmatch(r"[0-9a-f]{64}", item["sha256"]),
        "role": item.get("role", "user") in ("user", "admin"),
        "expires": item.get("expires") is None or type(item["expires"]) is date,
        "models": models is None or (isinstance(models, list) and all(isinstance(model, str) for model in models)),
        "revoked": isinstance(item.get("revoked", False), bool),
    }
    for field, good in checks.items():
        if not good:
            raise KeysError(f"{where}.{field} is missing or not of its form.")
    return Entry(
        name=item["name"],
        sha256=item["sha256"],
        role=item.get("role", "user"),
        expires=item.get("expires"),
        models=None if models is None else tuple(models),
        revoked=item.get("revoked", False),
    )


def _block(entry: Entry, indent: str) -> str:
    """The entry as text in block style, ending in a newline."""
    lines = [f"name: {_quoted(entry.name)}", f"sha256: {_quoted(entry.sha256)}", f"role: {entry.role}"]
    if entry.expires is not None:
        lines.append(f"expires: {entry.expires.isoformat()}")
    if entry.models is not None:
        lines.append(f"models: [{', '.join(_quoted(model) for model in entry.models)}]")
    if entry.revoked:
        lines.append("revoked: true")
    return f"{indent}- " + f"\n{indent}  ".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar that stays a string: unquoted, a name such as `no` or a hash of digits would be something else."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _indent(text: str) -> str:
    """The indentation that the list has already."""
    items = _items(text)
    return " " * max(items[0].start_mark.column - 2, 0) if items else "  "


def _items(text: str) -> list[yaml.MappingNode]:
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(top, yaml.MappingNode) or not isinstance(top.value[0][1], yaml.SequenceNode):
        return []
    return [node for node in top.value[0][1].value if isinstance(node, yaml.MappingNode)]


def _set_scalar(text: str, index: int, field: str, value: str) -> str:
    """Sets one field of one entry in the text: in its place, or as a new line below the entry's first field."""
    entry = _items(text)[index]
    for name, node in entry.value:
        if name.value == field:
            return text[: node.start_mark.index] + value + text[node.end_mark.index :]
    line_end = text.find("\n", entry.value[0][1].end_mark.index)
    line_end = len(text) if line_end < 0 else line_end
    return f"{text[:line_end]}\n{' ' * entry.start_mark.column}{field}: {value}{text[line_end:]}"

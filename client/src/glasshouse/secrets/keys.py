"""keys.yaml: who may call the API. It holds SHA-256 hashes; a key itself is shown once, when it is created.

The gateway reads the same file and applies a change within five seconds. An edit keeps the owner's comments, order and
quotes: ruamel.yaml writes the file, and PyYAML, with which the gateway reads it, checks the result before it replaces
the old one. Both are needed: to YAML 1.2 an unquoted `no` is a text, to the gateway's PyYAML it is false.
"""

import dataclasses
import hashlib
import io
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError as RoundTripError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted

from glasshouse.errors import KeysError
from glasshouse.files import locked, ownership_hint, resolve_links, write_atomically

Role = Literal["user", "admin"]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
# What PyYAML raises, beside its own errors, for `!!int ""`, `!!timestamp x` and the like.
_WRONG_TAGS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_FIELDS = {"name", "sha256", "role", "expires", "models", "revoked"}
_HEADER = "# Who may call the API. Add: make key NAME=…   Revoke: make key NAME=… REVOKE=1   Applied within 5 s.\n"
_COMMENTS_BEFORE_DOCUMENT = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)+(?=---\s)")
_MAX_WIDTH = 1_000_000  # no line is wrapped


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
    """Appends `entry`. With `rotate`, its name may exist: the old key and the new one are then both valid.

    Raises:
        KeysError: The name is not allowed, exists already or does not exist (rotate), or the file is wrong.
        OSError: The file cannot be written.
    """
    if not _NAME.fullmatch(entry.name):
        raise KeysError(f"The name {entry.name!r} is not allowed: use 1 to 64 of a-z, 0-9, _ and -.")

    def append(document: CommentedSeq) -> None:
        document.append(_mapping(entry))

    def change(entries: tuple[Entry, ...]) -> tuple[_Edit, tuple[Entry, ...]]:
        namesakes = [other for other in entries if other.name == entry.name]
        if namesakes and not rotate:
            raise KeysError(
                f"A key named {entry.name!r} exists. A second one beside it: make key NAME={entry.name} ROTATE=1. "
                f"To revoke it: make key NAME={entry.name} REVOKE=1."
            )
        if rotate and not namesakes:
            raise KeysError(
                f"There is no key named {entry.name!r} to rotate: leave ROTATE out to create the first one."
            )
        return append, (*entries, entry)

    _change(path, change)


def revoke(path: Path, name: str) -> int:
    """Marks every key of `name` as revoked and returns how many were valid until now.

    Raises:
        KeysError: No key has that name, or the file is wrong.
        OSError: The file cannot be written.
    """
    count = 0

    def change(entries: tuple[Entry, ...]) -> tuple[_Edit, tuple[Entry, ...]]:
        nonlocal count
        if all(entry.name != name for entry in entries):
            known = ", ".join(dict.fromkeys(entry.name for entry in entries)) or "none"
            raise KeysError(f"There is no key named {name!r}. Known names: {known}.")
        wanted = {index for index, entry in enumerate(entries) if entry.name == name and not entry.revoked}
        count = len(wanted)

        def mark(document: CommentedSeq) -> None:
            for index in wanted:
                item = document[index]
                if "revoked" in item:
                    item["revoked"] = True
                else:  # not last: a comment below the entry hangs on its last field
                    item.insert(1, "revoked", True)

        revoked = (
            dataclasses.replace(entry, revoked=True) if index in wanted else entry
            for index, entry in enumerate(entries)
        )
        return mark, tuple(revoked)

    if not path.exists():
        raise KeysError(f"There is no key named {name!r}: {path.name} does not exist yet.")
    _change(path, change)
    return count


_Edit = Callable[[CommentedSeq], None]
_Change = Callable[[tuple[Entry, ...]], tuple[_Edit, tuple[Entry, ...]]]


def _change(path: Path, change: _Change) -> None:
    target = resolve_links(path)  # the lock lies beside it, so that two links to one file share it
    with locked(target.with_name(f".{target.name}.lock")):
        text = _text(path)
        edit, expected = change(_parse(text, path))
        try:
            edited = _edited(text, edit)
            is_right = _parse(edited, path) == expected
        except (KeysError, RoundTripError, TypeError, LookupError, AttributeError):
            edited, is_right = "", False
        if not is_right:  # a form that the two libraries read differently: right entries go before comments
            edited = _HEADER + _edited("keys:\n", lambda document: document.extend(map(_mapping, expected)))
        write_atomically(path, edited)


def _edited(text: str, edit: _Edit) -> str:
    """The text after an edit of its list, with comments, order, quotes and indentation as they were."""
    before = _COMMENTS_BEFORE_DOCUMENT.match(text)  # ruamel.yaml drops them
    preamble = before[0] if before else ""
    text = text.removeprefix(preamble)
    round_trip = YAML()
    round_trip.explicit_start = text.startswith("---")
    round_trip.preserve_quotes = True
    round_trip.width = _MAX_WIDTH
    document = round_trip.load(text)
    if document is None:  # nothing, or nothing but comments
        document = round_trip.load(f"{text.rstrip()}\nkeys:\n" if text.strip() else f"{_HEADER}keys:\n")
    if not document["keys"]:
        document["keys"] = CommentedSeq()
    items = document["keys"]
    offset = max(items.lc.data[0][1] - 2, 0) if items.lc.data and not items.fa.flow_style() else 2
    round_trip.indent(mapping=2, sequence=offset + 2, offset=offset)
    edit(items)
    output = io.StringIO()
    round_trip.dump(document, output)
    return preamble + output.getvalue()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{path.name} cannot be read: {error}.{ownership_hint(error)}") from error


def _parse(text: str, path: Path) -> tuple[Entry, ...]:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, *_WRONG_TAGS) as error:
        # Not the error's own text, which quotes the file: a key in clear may stand there by mistake.
        mark = getattr(error, "problem_mark", None)
        place = f": see line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise KeysError(f"{path.name} is not YAML that can be read{place}.") from None
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


def _mapping(entry: Entry) -> CommentedMap:
    """The entry as it is written. Texts are quoted: a name such as `no`, or a hash of digits, would not be a text."""
    fields: dict[str, Any] = {"name": Quoted(entry.name), "sha256": Quoted(entry.sha256), "role": entry.role}
    if entry.expires is not None:
        fields["expires"] = entry.expires
    if entry.models is not None:
        fields["models"] = CommentedSeq(map(Quoted, entry.models))
        fields["models"].fa.set_flow_style()
    if entry.revoked:
        fields["revoked"] = True
    return CommentedMap(fields)

"""The manifest of a backup: `manifest.json`, the last member of its file."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, get_args

from glasshouse.errors import BackupError
from glasshouse.settings import Kind

NAME = "manifest.json"
SCHEMA = 1
_PROJECT = "glasshouse"
_DIGEST = "sha256"


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A component, such as `secrets/engine`; its tar.gz is the member `file` of the backup."""

    name: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which version made a backup, of which shape, when (UTC, ISO 8601), and its components, which are called parts."""

    version: str
    commit: str
    shape: Kind
    made: str
    parts: tuple[PartEntry, ...]

    def to_json(self) -> bytes:
        """The member's content, with its own digest at the end."""
        content = {"project": _PROJECT, "schema": SCHEMA, **asdict(self)}
        return json.dumps({**content, _DIGEST: _digest(content)}, indent=1).encode() + b"\n"


def parse(content: bytes, file: str) -> Manifest:
    """Reads a manifest.

    Raises:
        BackupError: It is another program's, or a newer version's, or is damaged.
    """
    try:
        found = json.loads(content)
        is_ours = isinstance(found, dict) and found.get("project") == _PROJECT
    except ValueError:
        is_ours, found = False, {}
    if not is_ours:
        raise BackupError(f"{file} is not a backup of Glasshouse.")
    schema = found.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise BackupError(
            f"{file} was made by a newer version, {found.get('version')!r} (schema {schema}; this version reads "
            f"{SCHEMA}): restore it with that version."
        )
    try:
        return _manifest(found)
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(f"The manifest of {file} is damaged: {error!r}.") from error


def _manifest(found: dict[str, Any]) -> Manifest:
    if found.pop(_DIGEST) != _digest(found):
        raise ValueError(_DIGEST)
    if found["schema"] != SCHEMA or found["shape"] not in get_args(Kind):
        raise ValueError(found["schema"], found["shape"])
    parts = tuple(
        PartEntry(str(part["name"]), str(part["file"]), int(part["bytes"]), str(part["sha256"]))
        for part in found["parts"]
    )
    return Manifest(str(found["version"]), str(found["commit"]), found["shape"], str(found["made"]), parts)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

"""The commands `key add`, `key list` and `key revoke`."""

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from glasshouse.console import table
from glasshouse.errors import KeysError, SecretsError
from glasshouse.secrets import keys, layout
from glasshouse.settings import Settings, settings_here

app = typer.Typer(help="API keys: make one, list them, revoke one.", no_args_is_help=True)


class Role(StrEnum):
    """What a key may do."""

    USER = "user"
    ADMIN = "admin"


@app.command(name="add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who it is for: a-z, 0-9, _ and -. Shown in logs and metrics.")],
    role: Annotated[Role, typer.Option(help="user may call models; admin may also see the stack's state.")] = Role.USER,
    expires: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day on which it is good (UTC).")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model that it may use; repeat it. Without: all.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="A second key for a name that has one.")] = False,
) -> None:
    """Make a key. It goes to standard output, once; only its hash is kept."""
    settings = settings_here()
    key = keys.new_key()
    models = tuple(model) if model else None
    entry = keys.Entry(name, keys.digest(key), role.value, _day(expires), models)
    file = layout.active_keys_file(settings)
    _make_directory(settings, file.parent)
    keys.add(file, entry, rotate=rotate)
    print(key)
    note = f"The key of {name!r}, shown this once; the gateway takes it within 5 s. Its hash is in "
    print(note + settings.shown(file), file=sys.stderr)


@app.command(name="list")
def list_keys() -> None:
    """List the keys: names and what they may do, no secrets."""
    settings = settings_here()
    entries = keys.read(layout.active_keys_file(settings))
    if not entries:
        print("There are no keys yet. make up makes the first one; make key NAME=… makes more.")
        return
    today = datetime.now(UTC).date()
    rows = [("NAME", "ROLE", "STATE", "EXPIRES", "MODELS", "SHA-256")]
    rows += [
        (
            entry.name,
            entry.role,
            entry.state(today),
            entry.expires.isoformat() if entry.expires else "-",
            ", ".join(entry.models) if entry.models is not None else "all",
            entry.sha256[:8],
        )
        for entry in entries
    ]
    print(table(rows, indent=""))


@app.command(name="revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Every key of this name ends.")]) -> None:
    """Revoke a key. The gateway refuses it within 5 s."""
    count = keys.revoke(layout.active_keys_file(settings_here()), name)
    print(f"Revoked {count} key(s) of {name!r}; refused within 5 s." if count else f"{name!r} was revoked already.")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise KeysError(f"The date {text!r} is not allowed: write it YYYY-MM-DD.") from error
    if day < datetime.now(UTC).date():
        raise KeysError(f"The date {text!r} is past: the key would never be good.")
    return day


def _make_directory(settings: Settings, directory: Path) -> None:
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.make_directory(settings, directory)
    except OSError as error:
        raise SecretsError(f"{settings.shown(directory)} cannot be made: {error}.") from error

"""The commands `key add`, `key list` and `key revoke`."""

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from glasshouse.console import Json, print_json, table
from glasshouse.errors import KeysError, SecretsError
from glasshouse.secrets import keys, layout
from glasshouse.settings import Settings, settings_here

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


class Role(StrEnum):
    """What a key may do."""

    USER = "user"
    ADMIN = "admin"


@app.command(name="add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who the key is for: a-z, 0-9, _ and -. Shown in logs and metrics.")],
    role: Annotated[
        Role, typer.Option(help="A `user` may call models; an `admin` may also see the state of the stack.")
    ] = Role.USER,
    expires: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The last day on which the key is valid (UTC).")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model that the key may use; can be repeated.", show_default="all models")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Create a second key for a name that has one.")] = False,
    as_json: Json = False,
) -> None:
    """Create a key and print it to standard output, this once; only its hash is kept."""
    settings = settings_here()
    key = keys.new_key()
    models = tuple(model) if model else None
    entry = keys.Entry(name, keys.digest(key), role.value, _day(expires), models)
    file = layout.active_keys_file(settings)
    _make_directory(settings, file.parent)
    keys.add(file, entry, rotate=rotate)
    if as_json:
        print_json({"key": key, **_values(entry)})
    else:
        print(key)
    note = f"The key of {name!r}, shown this once; the gateway accepts it within 5 s. Its hash is in "
    print(note + settings.shown(file), file=sys.stderr)


@app.command(name="list")
def list_keys(as_json: Json = False) -> None:
    """List the keys: names and what they may do, no secrets."""
    entries = keys.read(layout.active_keys_file(settings_here()))
    if as_json:
        print_json({"keys": [_values(entry) for entry in entries]})
        return
    if not entries:
        print("There are no keys yet. make up creates the first one; make key NAME=… creates more.")
        return
    rows = [("NAME", "ROLE", "STATE", "EXPIRES", "MODELS", "SHA-256")]
    rows += [
        (
            entry.name,
            entry.role,
            entry.state(_today()),
            entry.expires.isoformat() if entry.expires else "-",
            ", ".join(entry.models) if entry.models is not None else "all",
            entry.sha256[:8],
        )
        for entry in entries
    ]
    print(table(rows, indent="", header=True))


@app.command(name="revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="The name whose keys are revoked, all of them.")],
    as_json: Json = False,
) -> None:
    """Revoke the keys of a name. The gateway refuses them within 5 s."""
    count = keys.revoke(layout.active_keys_file(settings_here()), name)
    if as_json:
        print_json({"name": name, "revoked": count})
    else:
        print(f"Revoked {count} key(s) of {name!r}; refused within 5 s." if count else f"{name!r} was revoked already.")


def _values(entry: keys.Entry) -> dict[str, Any]:
    """The fields of a key in JSON."""
    return {
        "name": entry.name,
        "role": entry.role,
        "state": entry.state(_today()),
        "expires": entry.expires.isoformat() if entry.expires else None,
        "models": list(entry.models) if entry.models is not None else None,
        "sha256": entry.sha256,
    }


def _today() -> date:
    return datetime.now(UTC).date()


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise KeysError(f"The date {text!r} is not allowed: write it YYYY-MM-DD.") from error
    if day < _today():
        raise KeysError(f"The date {text!r} is past: the key would never be valid.")
    return day


def _make_directory(settings: Settings, directory: Path) -> None:
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.make_directory(settings, directory)
    except OSError as error:
        raise SecretsError(f"{settings.shown(directory)} cannot be created: {error}.") from error

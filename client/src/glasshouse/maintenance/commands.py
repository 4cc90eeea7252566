"""The commands for a stack's data and its versions."""

import os
from pathlib import Path
from typing import Annotated

import typer

from glasshouse.errors import BackupError
from glasshouse.maintenance import backup as backups
from glasshouse.maintenance import restore as restores
from glasshouse.maintenance import upgrade as upgrades
from glasshouse.settings import Settings, find_root, load

app = typer.Typer()
_PANEL = "Maintain"


@app.command(rich_help_panel=_PANEL)
def backup(
    file: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="a name with date and version in backups/")
    ] = None,
) -> None:
    """Save secrets, keys, settings and data in one file; the stack keeps serving."""
    backups.backup(_settings(), file.absolute() if file else None)


@app.command(rich_help_panel=_PANEL)
def restore(
    file: Annotated[Path | None, typer.Argument(help="A file made by `backup`.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is here, after backing it up.")] = False,
) -> None:
    """Put a backup into this checkout. The stack must be down."""
    settings = _settings()
    if file is None:
        known = "".join(f"\n  {settings.shown(each)}" for each in backups.existing(settings))
        raise BackupError(f"Which backup? make restore FILE=…{known}")
    restores.restore(settings, file.absolute(), force=force)


@app.command(rich_help_panel=_PANEL)
def upgrade(
    to: Annotated[str | None, typer.Option(help="A tag or commit.", show_default="the newest version's tag")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with a key.", show_default="secrets/api-key")] = None,
) -> None:
    """Switch to another version: backup, build, start, smoke test; roll back if one of them fails."""
    settings = _settings()
    upgrades.upgrade(settings, to, (key_file or settings.api_key_file).absolute())


def _settings() -> Settings:
    return load(find_root(Path.cwd()), os.environ)

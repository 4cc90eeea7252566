"""`make backup`: one file with everything that a start cannot create again, while the stack keeps serving."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.filesize import decimal

from glasshouse.errors import BackupError
from glasshouse.files import locked, ownership_hint
from glasshouse.maintenance import archive, settings_files
from glasshouse.maintenance.archive import Archive
from glasshouse.maintenance.checkout import Checkout
from glasshouse.maintenance.manifest import Manifest
from glasshouse.settings import Settings
from glasshouse.signals import interrupting
from glasshouse.stack import detect
from glasshouse.stack.base import Stack

_DIRECTORY = "backups"
_SUFFIX = ".partial"


def backup(settings: Settings, file: Path | None) -> None:
    """Backs up the stack that runs here, or what a stack has left.

    Args:
        settings: of the checkout.
        file: where to; unset, a name with date and version in `backups/`.

    Raises:
        GlasshouseError: It cannot be made; no file is left, and everything runs that ran before.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    with interrupting(), exclusive(settings):
        write(settings, detect.with_data(settings), file or default_file(settings))


def write(settings: Settings, stack: Stack, file: Path) -> Archive:
    """Backs up a stack; the caller has made sure that no other command is at work.

    Raises:
        GlasshouseError: It cannot be made; no file is left, and everything runs that ran before.
    """
    if file.exists():
        raise BackupError(f"{settings.shown(file)} is there already: name another file.")
    partial = file.with_name(f".{file.name}{_SUFFIX}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in file.parent.glob(f".*.tar{_SUFFIX}"):  # left by one that was killed: nobody else is at work here
            left.unlink()
        try:
            checked = _write(settings, stack, partial)
            partial.rename(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BackupError(
            f"The backup {settings.shown(file)} cannot be written: {error.strerror or error}.{ownership_hint(error)} "
            "No part of it is left."
        ) from error
    for name, contents in checked.contents.items():
        for link in contents.left_out:
            print(f"Not in the backup: {name}/{link} is a link that leads out of {name}/.")
    for name in Checkout(settings.root).changed:
        print(f"Not in the backup: {name}, which is not as this version has it.")
    print(f"Backup: {settings.shown(file)}  ({decimal(file.stat().st_size)}). It holds your secrets: guard it.")
    return replace(checked, path=file)


def default_file(settings: Settings, purpose: str = "") -> Path:
    """A name with the date and the version, which sorts by age."""
    version = "".join(char if char.isalnum() or char in ".-_" else "-" for char in Checkout(settings.root).version)
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (
        f"glasshouse-{now}-{version}{purpose}{suffix}.tar" for suffix in ("", *(f"-{count}" for count in range(2, 100)))
    )
    return next(path for name in names if not (path := settings.root / _DIRECTORY / name).exists())


def existing(settings: Settings) -> list[Path]:
    """The backups in the default directory, the newest last."""
    return sorted((settings.root / _DIRECTORY).glob("glasshouse-*.tar"))


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """While inside, no other command starts, saves or restores this stack.

    Raises:
        BackupError: Another command does.
    """
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with locked(settings.run_dir / "up.lock", wait=False):
            yield
    except BlockingIOError:
        raise BackupError("Another command is starting, saving or restoring this stack: wait for it.") from None


def _write(settings: Settings, stack: Stack, partial: Path) -> Archive:
    data = stack.data
    components = data.components()
    if not components:
        raise BackupError("There is nothing to back up: neither secrets nor data are here. A start makes them: make up")
    made = datetime.now(UTC).isoformat(timespec="seconds")
    checkout = Checkout(settings.root)
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        writer = archive.Writer(file)
        for component in (settings_files.component(settings), *components):
            with data.quiesce(component.name):
                entry = writer.add(component)
            print(f"  {component.name}  {decimal(entry.bytes)}", flush=True)
        writer.finish(Manifest(checkout.version, checkout.commit, stack.kind, made, tuple(writer.parts)))
    print("  checking it …", flush=True)
    return archive.check(partial)

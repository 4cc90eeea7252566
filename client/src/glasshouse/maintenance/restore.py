"""`make restore`: puts a backup into a checkout, after everything that could speak against it has been asked."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from glasshouse import env_file
from glasshouse.errors import BackupError
from glasshouse.maintenance import archive, backup, services
from glasshouse.maintenance.archive import Archive
from glasshouse.maintenance.services import SETTINGS, Services
from glasshouse.settings import Settings, load
from glasshouse.signals import interrupting
from glasshouse.stack.compose.docker import Docker
from glasshouse.stack.data import contents
from glasshouse.stack.data.contents import Contents
from glasshouse.stack.data.files import Part
from glasshouse.stack.native import stack as native

_ENV = ".env"


def restore(settings: Settings, file: Path, *, force: bool) -> None:
    """Checks a backup, then puts its parts where they belong. What is there already must be the same, or nothing.

    Args:
        settings: where to; the backup's own `.env` counts before it is in place.
        file: the backup.
        force: whether what is there may be replaced; a backup of it is made first.

    Raises:
        GlasshouseError: The stack runs, the backup is no good, or something else would be overwritten, and nothing has
            changed; or something could not be written, and the text says how to go on.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    with interrupting():
        print(f"Checking {settings.shown(file)} …", flush=True)
        checked = archive.check(file)
        target = _with_its_settings(settings, checked)
        with backup.alone(target):
            _require_stopped(target)
            _restore(target, checked, force=force)


def put_back(checked: Archive, found: Services, names: Sequence[str]) -> None:
    """Restores some parts, whatever is there now.

    Raises:
        GlasshouseError: One cannot be written.
    """
    for name in names:
        part = found.part(name)
        if part is not None:
            print(f"  {name}", flush=True)
            found.prepare(name)
            with checked.open(name) as stream:
                part.unpack(stream, checked.contents[name].left_out)


def is_as_saved(checked: Archive, found: Services, name: str) -> bool:
    """Whether a part still is what the backup holds.

    Raises:
        GlasshouseError: It cannot be read.
    """
    part = found.part(name)
    return part is None or _present(part).entries == checked.contents[name].entries


def _restore(settings: Settings, checked: Archive, *, force: bool) -> None:
    kind = checked.manifest.shape if settings.shape == "auto" else settings.shape
    found = services.of_kind(settings, kind)
    wanted = [name for name in checked.contents if name == SETTINGS or found.part(name) is not None]
    there = {name: _there(settings, found, name).entries for name in wanted}
    # What is there and lost by a restore; that something is missing is what a restore is for.
    different = [name for name in wanted if not there[name].items() <= checked.contents[name].entries.items()]
    if different and not force:
        raise BackupError(
            f"There is something else here: {', '.join(different)}. Nothing has been changed. FORCE=1 replaces it, "
            "after a backup of what is here."
        )
    kept = None
    if different:
        print("A backup of what is here first:", flush=True)
        kept = backup.write(settings, found, backup.usual_file(settings, "-before-restore"))
        print("Restoring:", flush=True)
    changed = [name for name in wanted if there[name] != checked.contents[name].entries]
    try:
        if SETTINGS in changed:
            _restore_settings(settings, checked)
            found = services.of_kind(settings, kind)  # an override may have come with them
        put_back(checked, found, [name for name in changed if name != SETTINGS])
    except BaseException:
        where = f" What was here before is in {settings.shown(kept.path)}." if kept else ""
        again = f"make restore FILE={settings.shown(checked.path)} FORCE=1"
        print(f"The restore is incomplete, and has to be repeated before a start: {again}.{where}", file=sys.stderr)
        raise
    for name in set(checked.contents) - set(wanted):
        print(f"  {name} is left out: the shape {kind!r} has no use for it")
    made = checked.manifest
    print(f"Restored the backup of {made.made}, made by version {made.version}. Start it: make up")


def _restore_settings(settings: Settings, checked: Archive) -> None:
    print(f"  {SETTINGS}", flush=True)
    with checked.open(SETTINGS) as stream:
        services.settings_part(settings).unpack(stream, checked.contents[SETTINGS].left_out)


def _with_its_settings(settings: Settings, checked: Archive) -> Settings:
    """The settings as they will be with the backup's `.env`: it says where secrets lie, and who the services are."""
    if SETTINGS not in checked.contents or _ENV not in checked.contents[SETTINGS].entries:
        return settings
    with TemporaryDirectory() as directory, checked.open(SETTINGS) as stream:
        env = Path(directory) / _ENV
        for tar, member in contents.members(stream):
            content = tar.extractfile(member)
            if contents.normalized(member.name) == _ENV and content is not None:
                env.write_bytes(content.read())
        return load(settings.root, {**env_file.read(env, settings.given), **settings.given})


def _require_stopped(settings: Settings) -> None:
    """Refuses to change data under programs that use it.

    Raises:
        BackupError: One runs.
    """
    containers = [one for one in Docker(settings).containers() if one.is_running]
    if containers or native.started(settings) is not None:
        elsewhere = {one.directory for one in containers if one.directory.resolve() != settings.root.resolve()}
        where = f" in {', '.join(map(str, elsewhere))}" if elsewhere else ""
        raise BackupError(f"Glasshouse is running{where}; nothing has been changed. First: make down")


def _there(settings: Settings, found: Services, name: str) -> Contents:
    part = services.settings_part(settings) if name == SETTINGS else found.part(name)
    if part is None or (name != SETTINGS and not found.has(name)):
        return Contents({}, ())
    return _present(part)


def _present(part: Part) -> Contents:
    """What a part holds now, read as a backup would."""
    reader, writer = os.pipe()

    def pack() -> None:
        with os.fdopen(writer, "wb") as output:
            part.pack(output, accept_changed=True)

    with ThreadPoolExecutor(1) as pool, os.fdopen(reader, "rb") as stream:
        packing = pool.submit(pack)
        try:
            found = contents.read(stream, part.name)
        except BackupError:
            while stream.read(1024 * 1024):
                pass
            packing.result()  # why it could not be read tells more than what was made of it
            raise
        packing.result()
    return found

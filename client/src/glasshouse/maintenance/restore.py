"""`make restore`: puts a backup into a checkout, after checking everything that could go wrong."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from glasshouse import env_file
from glasshouse.errors import BackupError
from glasshouse.maintenance import archive, backup, settings_files
from glasshouse.maintenance.archive import Archive
from glasshouse.settings import Settings, load
from glasshouse.signals import interrupting
from glasshouse.stack import detect
from glasshouse.stack.data import contents
from glasshouse.stack.data.base import Component, StackData
from glasshouse.stack.data.contents import Contents

_ENV = ".env"


def restore(settings: Settings, file: Path, *, force: bool) -> None:
    """Checks a backup, then restores its components. What is there already must be the same, or nothing.

    Args:
        settings: of the checkout; the backup's own `.env` counts before it is restored.
        file: the backup.
        force: whether what is there may be replaced; it is backed up first.

    Raises:
        GlasshouseError: The stack runs, the backup is no good, or something else would be overwritten, and nothing has
            changed; or something could not be written, and the text says how to go on.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    with interrupting():
        print(f"Checking {settings.shown(file)} …", flush=True)
        checked = archive.check(file)
        target = _with_saved_env(settings, checked)
        with backup.exclusive(target):
            _require_stopped(target)
            _restore(target, checked, force=force)


@dataclass(frozen=True, slots=True)
class BackedUpData:
    """See SavedData."""

    archive: Archive
    data: StackData

    @property
    def names(self) -> tuple[str, ...]:
        """See SavedData."""
        return tuple(name for name in self.archive.contents if name != settings_files.NAME)

    def differs(self, name: str) -> bool:
        """See SavedData; a component that this shape does not have is as it was."""
        component = self.data.component(name)
        return component is not None and _read(component).entries != self.archive.contents[name].entries

    def restore(self, names: Sequence[str]) -> None:
        """See SavedData."""
        for name in names:
            component = self.data.component(name)
            if component is not None:
                print(f"  {name}", flush=True)
                self.data.create(name)
                with self.archive.open(name) as stream:
                    component.unpack(stream, self.archive.contents[name].left_out)


def _restore(settings: Settings, checked: Archive, *, force: bool) -> None:
    kind = checked.manifest.shape if settings.shape == "auto" else settings.shape
    stack = detect.of_kind(settings, kind)
    data = stack.data
    wanted = [name for name in checked.contents if name == settings_files.NAME or data.component(name) is not None]
    current = {name: _current(settings, data, name).entries for name in wanted}
    # What is there and would be lost; that something is missing is what a restore is for.
    different = [name for name in wanted if not current[name].items() <= checked.contents[name].entries.items()]
    if different and not force:
        raise BackupError(
            f"There is something else here: {', '.join(different)}. Nothing has been changed. FORCE=1 replaces it, "
            "after a backup of what is here."
        )
    replaced = None
    if different:
        print("A backup of what is here first:", flush=True)
        replaced = backup.write(settings, stack, backup.default_file(settings, "-before-restore"))
        print("Restoring:", flush=True)
    changed = [name for name in wanted if current[name] != checked.contents[name].entries]
    try:
        if settings_files.NAME in changed:
            _restore_settings(settings, checked)
            data = detect.of_kind(settings, kind).data  # an override may have come with them
        BackedUpData(checked, data).restore([name for name in changed if name != settings_files.NAME])
    except BaseException:
        where = f" What was here before is in {settings.shown(replaced.path)}." if replaced else ""
        command = f"make restore FILE={settings.shown(checked.path)} FORCE=1"
        print(f"The restore is incomplete, and has to be repeated before a start: {command}.{where}", file=sys.stderr)
        raise
    for name in set(checked.contents) - set(wanted):
        print(f"  {name} is left out: the shape {kind!r} has no use for it")
    made = checked.manifest
    print(f"Restored the backup of {made.made}, made by version {made.version}. Start it: make up")


def _restore_settings(settings: Settings, checked: Archive) -> None:
    name = settings_files.NAME
    print(f"  {name}", flush=True)
    with checked.open(name) as stream:
        settings_files.component(settings).unpack(stream, checked.contents[name].left_out)


def _with_saved_env(settings: Settings, checked: Archive) -> Settings:
    """The settings as they will be with the backup's `.env`: it says where secrets lie, and the services' user."""
    name = settings_files.NAME
    if name not in checked.contents or _ENV not in checked.contents[name].entries:
        return settings
    with TemporaryDirectory() as directory, checked.open(name) as stream:
        env = Path(directory) / _ENV
        for tar, member in contents.members(stream):
            content = tar.extractfile(member)
            if contents.normalized(member.name) == _ENV and content is not None:
                env.write_bytes(content.read())
        return load(settings.root, {**env_file.read(env, settings.given), **settings.given})


def _require_stopped(settings: Settings) -> None:
    """Refuses to change data that a running program uses.

    Raises:
        BackupError: One runs, be it another checkout's with the same volumes.
    """
    users = [directory for stack in detect.stacks(settings) for directory in stack.data_users]
    if users:
        here = settings.root.resolve()
        elsewhere = {str(directory) for directory in users if directory.resolve() != here}
        where = f" in {', '.join(sorted(elsewhere))}" if elsewhere else ""
        raise BackupError(f"Glasshouse is running{where}; nothing has been changed. First: make down")


def _current(settings: Settings, data: StackData, name: str) -> Contents:
    """What a component holds now; nothing where it is not there."""
    if name == settings_files.NAME:
        return _read(settings_files.component(settings))
    component = data.component(name)
    return _read(component) if component is not None and data.may_exist(name) else Contents({}, ())


def _read(component: Component) -> Contents:
    """What a component holds now, read as a backup would."""
    reader, writer = os.pipe()

    def pack() -> None:
        with os.fdopen(writer, "wb") as output:
            component.pack(output, accept_changed=True)

    with ThreadPoolExecutor(1) as pool, os.fdopen(reader, "rb") as stream:
        packing = pool.submit(pack)
        try:
            found = contents.read(stream, component.name)
        except BackupError:
            while stream.read(1024 * 1024):
                pass
            packing.result()  # why it could not be packed says more than what was made of the rest
            raise
        packing.result()
    return found

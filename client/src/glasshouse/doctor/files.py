"""The checkout's files: whether the services can read what they mount, and nobody else the secrets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from glasshouse.doctor.finding import Finding, Target
from glasshouse.stack.compose import mounts

_PUBLIC = {"cert.pem"}  # it is shown to everyone who connects


def mounted(target: Target) -> Iterator[Finding]:
    """Whether containers can read what they mount."""
    found = mounts.first_unreadable(target.settings, target.kind)
    if found is None:
        yield Finding("ok", "mounts", "readable by the services' user")
    else:
        yield Finding("failure", "mounts", str(found), found.remedy)


def secrets(target: Target) -> Iterator[Finding]:
    """Whether the secrets are only for their owner."""
    place = target.settings.secrets_dir
    shown = target.settings.shown(place)
    if not place.exists():
        yield Finding("ok", "secrets", "the first start creates them")
        return
    if not os.access(place, os.R_OK | os.X_OK):
        yield Finding("not checked", "secrets", f"{shown}/ belongs to user {place.stat().st_uid}: sudo make doctor")
        return
    found = next((path for path in sorted(place.rglob("*")) if _is_open(path)), None) if _is_open(place) else None
    if found is None:
        yield Finding("ok", "secrets", "readable by their owner only")
        return
    yield Finding(
        "warning",
        "secrets",
        f"{target.settings.shown(found)} can be read by others, not only by its owner",
        f"chmod -R go-rwx {shown}",
    )


def _is_open(path: Path) -> bool:
    """Whether others than the owner may read it, or go in; what is public anyway does not count."""
    try:
        mode = path.stat().st_mode
    except OSError:  # a link that leads nowhere
        return False
    others = stat.S_IXGRP | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IRGRP | stat.S_IROTH
    return bool(mode & others) and path.name not in _PUBLIC

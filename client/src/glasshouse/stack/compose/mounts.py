"""The directories of the checkout that containers mount: whether the services' user can read them.

The files of a clone under umask 027 or 077 are for their owner alone. Where root starts the stack, containers run as
another user, and would end one after another with `Permission denied`.
"""

import os
import platform
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glasshouse.errors import StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.compose.docker import DEFAULT_UID, environment

_TREES = ("nginx", "prometheus", "grafana", "config")
_MODEL_FILES = "services/vllm/models"
_ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The first path, relative to the checkout, that the services' user cannot read; and all mounts with such paths."""

    path: Path
    mode: str
    uid: int
    trees: tuple[str, ...]

    def __str__(self) -> str:
        return f"The containers run as user {self.uid}, who cannot read {self.path} ({self.mode})"

    @property
    def remedy(self) -> str:
        """The command that fixes it."""
        return f"chmod -R go+rX {' '.join(self.trees)}"


def require_readable(settings: Settings, kind: Kind) -> None:
    """Refuses a start whose containers could not read what they mount.

    Raises:
        StackError: A path cannot be read by their user; the text names the first, and the remedy.
    """
    if (found := first_unreadable(settings, kind)) is not None:
        raise StackError(f"{found}: {found.remedy}")


def first_unreadable(settings: Settings, kind: Kind) -> Unreadable | None:
    """What the services' user cannot read, if there is anything.

    Of models/ only what this start reads is checked: a private file beside it does not matter. Hidden files belong to
    editors and downloads. On anything but Linux, Docker shares files whatever their owners.
    """
    if platform.system() != "Linux":
        return None
    wanted = {**settings.environment, **environment(settings)}
    user, group = wanted["GLASSHOUSE_UID"], wanted.get("GLASSHOUSE_GID", DEFAULT_UID)
    uid, gid = (int(text) if text.isdecimal() else -1 for text in (user, group))  # Docker refuses anything else
    first: tuple[Path, str] | None = None
    trees: dict[str, None] = {}
    for tree, path in _paths(settings, kind) if uid >= 0 else ():
        try:
            found = path.stat()
        except OSError:  # Docker itself names what is missing
            continue
        if tree not in trees and not _may_read(found, uid, gid) and not _has_acl(path):
            first = first or (path.relative_to(settings.root), stat.filemode(found.st_mode))
            trees[tree] = None
    return Unreadable(*first, uid, tuple(trees)) if first is not None else None


def _paths(settings: Settings, kind: Kind) -> Iterator[tuple[str, Path]]:
    for tree in (*_TREES, *((_MODEL_FILES,) if kind == "gpu" else ())):
        yield from ((tree, path) for path in _visible(settings.root / tree))
    models = settings.root / "models"
    yield "models", models
    model = Path(settings.llamacpp_model)
    if kind == "cpu" and model.is_relative_to(models):
        between = [each for each in reversed(model.parents) if each.is_relative_to(models) and each != models]
        yield from (("models", each) for each in between)
        yield "models", model


def _visible(top: Path) -> Iterator[Path]:
    """A directory and its contents, parents first; without links, which lead elsewhere in a container."""
    yield top
    try:
        inside = sorted(top.iterdir())
    except OSError:  # not readable for us either
        return
    for path in inside:
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _visible(path)
        else:
            yield path


def _may_read(found: os.stat_result, uid: int, gid: int) -> bool:
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else 0)
    shift = 6 if found.st_uid == uid else 3 if found.st_gid == gid else 0
    return (found.st_mode >> shift) & needed == needed


def _has_acl(path: Path) -> bool:
    """Whether an access control list may allow more than the mode does."""
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        return False

"""Where each secret lies below `secrets/`: a directory for those who need the same, so that a service mounts only it.

    secrets/
      api-key                                       the first key in clear, for the owner; no service sees it
      gateway/keys.yaml                             the gateway
      engine/engine-key, engine-key.next            the gateway, the engines, Prometheus
      hub/hf-token                                  vLLM
      grafana/grafana-password, alert-url, smtp-password
      tls/cert.pem, key.pem                         nginx

Directories are mounted, not files: a file that is replaced by a rename would not be seen through a mount of its own.
Up to version 0.1 all files lay side by side; `up` moves those.
"""

import errno
import os
from pathlib import Path

from glasshouse.errors import SecretsError
from glasshouse.files import keep_owner, real, write_atomically
from glasshouse.settings import Settings

DIRECTORIES = ("engine", "gateway", "grafana", "hub", "tls")

_DIRECTORY_OF = {
    "keys.yaml": "gateway",
    "engine-key": "engine",
    "hf-token": "hub",
    "grafana-password": "grafana",
    "alert-url": "grafana",
    "smtp-password": "grafana",
}


def keys_file(settings: Settings) -> Path:
    """The keys.yaml that counts now: the old place, as long as a stack that has not been started since reads it."""
    old = settings.secrets_dir / settings.keys_file.name
    waiting = _is_usual(settings, settings.keys_file) and os.path.lexists(old)
    return old if waiting and not os.path.lexists(settings.keys_file) else settings.keys_file


def make_directory(settings: Settings, directory: Path) -> None:
    """Makes a directory for secrets, with the owner of `secrets/`; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True)
        keep_owner(directory, settings.secrets_dir)


def move_old(settings: Settings) -> None:
    """Moves files of the old layout to their directories; what KEYS_FILE or ENGINE_KEY_FILE names stays.

    Each file is at one of both places at any moment, or at both with the same content: a run that was cut short is
    completed by the next.

    Raises:
        SecretsError: Both places have a file, and they differ; or one cannot be moved.
    """
    for name, directory in _DIRECTORY_OF.items():
        old, new = settings.secrets_dir / name, settings.secrets_dir / directory / name
        if os.path.lexists(old) and old not in {settings.keys_file, settings.engine_key_file}:
            try:
                make_directory(settings, new.parent)
                _move(settings, old, new)
            except OSError as error:
                raise SecretsError(
                    f"{settings.shown(old)} cannot be moved to {settings.shown(new)}: {error.strerror}."
                ) from error


def require_inside(settings: Settings) -> None:
    """Sees that every file can be found in a container, where only its directory is mounted.

    Raises:
        SecretsError: One is a link that leads out of its directory.
    """
    for directory in DIRECTORIES:
        for path in (settings.secrets_dir / directory).glob("*"):
            if path.is_symlink() and not real(path).is_relative_to(path.parent.resolve()):
                raise SecretsError(
                    f"{settings.shown(path)} is a link that leads out of {directory}/, and a container sees only that "
                    "directory: make the directory a link instead, or put the file there."
                )


def _is_usual(settings: Settings, path: Path) -> bool:
    return path == settings.secrets_dir / _DIRECTORY_OF.get(path.name, "") / path.name


def _move(settings: Settings, old: Path, new: Path) -> None:
    if os.path.lexists(new):
        if old.read_bytes() != new.read_bytes():
            raise SecretsError(
                f"{settings.shown(old)} and {settings.shown(new)} differ: remove the one that is out of date. "
                "Only the second is read."
            )
    elif old.is_symlink():
        _link(old, new)
    else:
        try:
            old.rename(new)
        except OSError as error:
            if error.errno != errno.EXDEV:  # the directory lies on another disk
                raise
            write_atomically(new, old.read_text(encoding="utf-8"))
    old.unlink(missing_ok=True)


def _link(old: Path, new: Path) -> None:
    """A link like `old` at `new`; a relative one is written anew, because it is read from where it lies."""
    text = old.readlink()
    if not text.is_absolute():
        text = Path(os.path.relpath(old.parent.resolve() / text, new.parent.resolve()))
    new.symlink_to(text)

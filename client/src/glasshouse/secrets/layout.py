"""Where each secret is below `secrets/`: services that need the same files share a directory, and mount nothing else.

    secrets/
      api-key                                       the first key in clear, for the owner; no service mounts it
      gateway/keys.yaml                             the gateway
      engine/engine-key, engine-key.next            the gateway, the engines, Prometheus
      hub/hf-token                                  vLLM
      grafana/grafana-password, alert-url, smtp-password
      tls/cert.pem, key.pem                         nginx
      privacy-canary/api-key                        the privacy canary, which mounts engine/, grafana/ and tls/ too

Directories are mounted, not files: a container would not see a mounted file being replaced by a rename.
Up to version 0.1 the layout was flat; `up` migrates it.
"""

import errno
import os
from pathlib import Path

from glasshouse.errors import SecretsError
from glasshouse.files import copy_owner, resolve_links, write_atomically
from glasshouse.settings import Settings

DIRECTORIES = ("engine", "gateway", "grafana", "hub", "privacy-canary", "tls")

_DIRECTORY_OF = {
    "keys.yaml": "gateway",
    "engine-key": "engine",
    "hf-token": "hub",
    "grafana-password": "grafana",
    "alert-url": "grafana",
    "smtp-password": "grafana",
}


def active_keys_file(settings: Settings) -> Path:
    """The keys.yaml in use: that of the flat layout until the next start moves it, since a running stack reads it."""
    old = settings.secrets_dir / settings.keys_file.name
    is_flat = _is_default(settings, settings.keys_file) and os.path.lexists(old)
    return old if is_flat and not os.path.lexists(settings.keys_file) else settings.keys_file


def privacy_canary_key_file(settings: Settings) -> Path:
    """The API key of the privacy canary, in clear."""
    return settings.secrets_dir / "privacy-canary" / "api-key"


def make_directory(settings: Settings, directory: Path) -> None:
    """Creates a directory for secrets, with the owner of `secrets/`; an existing one stays as it is.

    Raises:
        OSError: It cannot be created.
    """
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True)
        copy_owner(directory, settings.secrets_dir)


def migrate_flat(settings: Settings) -> None:
    """Moves files of the flat layout to their directories; what KEYS_FILE or ENGINE_KEY_FILE names stays.

    At any moment each file is at one of the two places, or at both with the same content: a run that was interrupted
    is completed by the next.

    Raises:
        SecretsError: The two places hold different files, or one cannot be moved.
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
    """Checks that containers can reach every file through the one directory that they mount.

    Raises:
        SecretsError: A file is a link that leads out of its directory.
    """
    for directory in DIRECTORIES:
        for path in (settings.secrets_dir / directory).glob("*"):
            if path.is_symlink() and not resolve_links(path).is_relative_to(path.parent.resolve()):
                raise SecretsError(
                    f"{settings.shown(path)} is a link that leads out of {directory}/, but containers mount only that "
                    "directory: make the directory a link instead, or put the file there."
                )


def _is_default(settings: Settings, path: Path) -> bool:
    return path == settings.secrets_dir / _DIRECTORY_OF.get(path.name, "") / path.name


def _move(settings: Settings, old: Path, new: Path) -> None:
    if os.path.lexists(new):
        if old.read_bytes() != new.read_bytes():
            raise SecretsError(
                f"{settings.shown(old)} and {settings.shown(new)} differ: remove the outdated one. "
                "Only the second is read."
            )
    elif old.is_symlink():
        _link(old, new)
    else:
        try:
            old.rename(new)
        except OSError as error:
            if error.errno != errno.EXDEV:  # the directory is on another file system
                raise
            write_atomically(new, old.read_text(encoding="utf-8"))
    old.unlink(missing_ok=True)


def _link(old: Path, new: Path) -> None:
    """A link like `old` at `new`; a relative target is rewritten, because it is resolved from where the link is."""
    text = old.readlink()
    if not text.is_absolute():
        text = Path(os.path.relpath(old.parent.resolve() / text, new.parent.resolve()))
    new.symlink_to(text)

"""The key that the gateway shows to the engines, and the next one, which they accept already.

Engines read both when they start. So a rotation restarts nothing: the gateway changes to a key that they know.
"""

import secrets
from pathlib import Path

from glasshouse.errors import SecretsError
from glasshouse.files import is_unwritable, locked, ownership_hint, write_atomically
from glasshouse.secrets import layout
from glasshouse.settings import Settings


def ensure(settings: Settings) -> bool:
    """Creates the key and the next one where they are missing; returns whether the key itself was created.

    Raises:
        OSError: A file cannot be read or written.
    """
    path, following = settings.engine_key_file, next_file(settings)
    is_missing = not path.exists()
    if is_missing:
        layout.make_directory(settings, path.parent)
        # Engines that run accept the next one already.
        write_atomically(path, following.read_text(encoding="utf-8") if following.exists() else _new())
    if not following.exists() or following.read_bytes() == path.read_bytes():
        try:
            write_atomically(following, _new())
        except OSError as error:
            if not is_unwritable(error):  # only a rotation needs it
                raise
    return is_missing


def rotate(settings: Settings) -> None:
    """Puts the next key into force, which the engines have accepted since they started, and creates another.

    The old one is accepted until the engines are restarted. A run that was interrupted is completed by the next.

    Raises:
        SecretsError: There is no next key, or a file cannot be written.
    """
    path, following = settings.engine_key_file, next_file(settings)
    try:
        with locked(settings.secrets_dir / ".lock"):
            key = following.read_text(encoding="utf-8")
            if path.read_text(encoding="utf-8") != key:
                write_atomically(path, key)
            write_atomically(following, _new())
    except (OSError, UnicodeError) as error:
        raise SecretsError(f"The engine key cannot be rotated: {error}.{ownership_hint(error)}") from error


def next_file(settings: Settings) -> Path:
    """The key that engines accept beside the one in force, and that a rotation puts in its place."""
    return settings.engine_key_file.with_name(f"{settings.engine_key_file.name}.next")


def next_created_at(settings: Settings) -> float:
    """When the next key was created, in seconds since 1970.

    Raises:
        SecretsError: There is none.
    """
    path = next_file(settings)
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise SecretsError(
            f"There is no next engine key to put into force ({settings.shown(path)}); a start creates it: make up."
            f"{ownership_hint(error)}"
        ) from error


def _new() -> str:
    # Hex, because hex can hold no word that a check for placeholders would take for one.
    return secrets.token_hex(32) + "\n"

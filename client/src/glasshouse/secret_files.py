"""The files in `secrets/`: made at the first start, never shown, never made again while they are there."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from glasshouse import certificate, keys
from glasshouse.errors import SecretsError
from glasshouse.files import keep_owner, locked, who_owns, write_atomically
from glasshouse.screen import table
from glasshouse.settings import Settings

FIRST_KEY_NAME = "owner"


@dataclass(frozen=True, slots=True)
class Made:
    """One file that was made, and what its owner has to know about it."""

    path: Path
    what: str


def init(settings: Settings, *, grafana: bool = False) -> tuple[Made, ...]:
    """Makes every secret that is missing and touches no other; returns what was made.

    Args:
        settings: where they lie, and the names that the certificate is for.
        grafana: whether Grafana is part of the stack and needs a password.

    Raises:
        SecretsError: A file or directory cannot be made or read.
        KeysError: keys.yaml is there and is wrong.
    """
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.secrets_dir.chmod(0o700)
        with locked(settings.secrets_dir / ".lock"):
            password = _grafana_password(settings) if grafana else ()
            return (*_engine_key(settings), *_first_key(settings), *password, *_certificate(settings))
    except (OSError, UnicodeError) as error:
        raise SecretsError(
            f"The secrets in {settings.shown(settings.secrets_dir)} cannot be made: {error}.{who_owns(error)}"
        ) from error


def print_made(settings: Settings, made: tuple[Made, ...]) -> None:
    """Says which secrets were made: where, never what."""
    if made:
        print("Made secrets:\n" + table([(settings.shown(one.path), f"({one.what})") for one in made]))


def _engine_key(settings: Settings) -> tuple[Made, ...]:
    path = settings.engine_key_file
    if path.exists():
        return ()
    # Hex, because hex can hold no word that a check for placeholders would take for one.
    write_atomically(path, secrets.token_hex(32) + "\n")
    return (Made(path, "what the gateway shows to the engines"),)


def _first_key(settings: Settings) -> tuple[Made, ...]:
    clear, table = settings.api_key_file, settings.keys_file
    if clear.exists():
        if table.exists():
            return ()
        key = clear.read_text(encoding="utf-8").strip()
        keys.add(table, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
        return (Made(table, f"keys.yaml was missing: made with the key in {clear.name}"),)
    if table.exists() and keys.read(table):
        return ()  # the owner has moved the key in clear to where it belongs
    key = keys.new_key()
    # The hash goes first: a key in clear that the gateway does not know would be of no use.
    keys.add(table, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
    write_atomically(clear, key + "\n")
    return (Made(clear, "your first API key, in clear; move it to where you need it"), Made(table, "its hash"))


def _grafana_password(settings: Settings) -> tuple[Made, ...]:
    path = settings.grafana_password_file
    if path.exists():
        return ()
    write_atomically(path, secrets.token_urlsafe(24) + "\n")
    return (Made(path, "of the user admin in Grafana, which takes it at its first start"),)


def _certificate(settings: Settings) -> tuple[Made, ...]:
    path, key_path = settings.certificate, settings.certificate_key
    text = path.read_text(encoding="utf-8") if path.exists() else None
    key = key_path.read_text(encoding="utf-8") if key_path.exists() else None
    reason = ""
    if text is not None:
        try:
            old = certificate.why_new(text, key or "", settings.certificate_names)
            is_own = certificate.is_own(text)
        except ValueError as error:
            raise SecretsError(f"{settings.shown(path)} holds no certificate: {error}.") from error
        if key is None and not is_own:
            raise SecretsError(
                f"{settings.shown(key_path)} is missing, and the certificate beside it was not made here: put the key "
                "back, or remove the certificate too to have both made."
            )
        if old is None:
            return ()
        reason = f"{old}: a new one, "
    path.parent.mkdir(mode=0o700, exist_ok=True)
    keep_owner(path.parent, settings.secrets_dir)
    try:
        pair = certificate.make(settings.certificate_names, key=key)
    except ValueError as error:
        if text is None:  # it may be the owner's, whose certificate is still to come
            raise SecretsError(f"{settings.shown(key_path)} holds no key that can be used: {error}.") from error
        key, pair = None, certificate.make(settings.certificate_names)
    if key is None:
        write_atomically(key_path, pair.key)
    write_atomically(path, pair.certificate, mode=0o644)
    return (Made(path, f"{reason}self-signed, for 199 days"),)

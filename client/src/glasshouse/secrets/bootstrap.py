"""The secrets of a first start: what is missing is created, what is there is left alone, and none is ever shown."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from glasshouse.console import table
from glasshouse.errors import SecretsError
from glasshouse.files import is_unwritable, locked, ownership_hint, write_atomically
from glasshouse.secrets import certificate, engine_key, keys, layout
from glasshouse.settings import Settings

FIRST_KEY_NAME = "owner"
CANARY_KEY_NAME = "privacy-canary"


@dataclass(frozen=True, slots=True)
class CreatedSecret:
    """A file that was created, and what its owner has to know about it."""

    path: Path
    description: str


def create_missing(settings: Settings, *, docker: bool = False) -> tuple[CreatedSecret, ...]:
    """Creates every secret that is missing and touches no other; returns what was created.

    A directory that cannot be written is good enough when nothing is missing.

    Args:
        settings: where they lie, and the names that the certificate is for.
        docker: whether each service sees only its own directory, and Grafana is one of them. A certificate is then
            created only where there is none: whether the one there is still good is for `certificate-init` to say.

    Raises:
        SecretsError: A file or directory cannot be created or read; what is missing is named.
        KeysError: keys.yaml is there and is wrong.
    """
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _exclusive(settings.secrets_dir):
            layout.migrate_flat(settings)
            if docker:
                layout.require_inside(settings)
            password = _grafana_password(settings) if docker else ()
            created = (*_engine_key(settings), *_first_key(settings), *_canary_key(settings), *password)
            if docker and settings.certificate.exists() and settings.certificate_key.exists():
                return created
            return (*created, *_certificate(settings))
    except (OSError, UnicodeError) as error:
        missing = [settings.shown(path) for path in _required(settings, docker=docker) if not path.exists()]
        subject = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing and" if missing else (
            f"The secrets in {settings.shown(settings.secrets_dir)}"
        )  # fmt: skip
        raise SecretsError(f"{subject} cannot be created: {error}.{ownership_hint(error)}") from error


def ensure_certificate(settings: Settings) -> tuple[CreatedSecret, ...]:
    """Creates the self-signed certificate if there is none, and renews it if it expires soon or lacks a name.

    Raises:
        SecretsError: It cannot be created or read.
    """
    try:
        with _exclusive(settings.secrets_dir):
            return _certificate(settings)
    except (OSError, UnicodeError) as error:
        shown = settings.shown(settings.certificate)
        raise SecretsError(f"The certificate {shown} cannot be created: {error}.{ownership_hint(error)}") from error


def print_created(settings: Settings, created: tuple[CreatedSecret, ...]) -> None:
    """Lists the secrets that were created: where they are, never what they are."""
    if created:
        rows = [(settings.shown(secret.path), f"({secret.description})") for secret in created]
        print("Created secrets:\n" + table(rows))


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Holds the directory's lock. Where nothing can be written no lock is needed: nothing can be created either."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(directory / ".lock"))
            directory.chmod(0o700)
        except OSError as error:
            if not is_unwritable(error):
                raise
        yield


def _required(settings: Settings, *, docker: bool) -> tuple[Path, ...]:
    """The files without which a service does not start."""
    password = (settings.grafana_password_file,) if docker else ()
    pair = (settings.certificate, settings.certificate_key)
    return (settings.engine_key_file, settings.keys_file, *password, *pair)


def _engine_key(settings: Settings) -> tuple[CreatedSecret, ...]:
    if not engine_key.ensure(settings):
        return ()
    return (CreatedSecret(settings.engine_key_file, "what the gateway shows to the engines"),)


def _first_key(settings: Settings) -> tuple[CreatedSecret, ...]:
    clear, hashes = settings.api_key_file, settings.keys_file
    if hashes.exists() and (clear.exists() or keys.read(hashes)):
        return ()  # without the key in clear, its owner has moved it to where it belongs
    layout.make_directory(settings, hashes.parent)
    if clear.exists():
        key = clear.read_text(encoding="utf-8").strip()
        keys.add(hashes, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
        return (CreatedSecret(hashes, f"keys.yaml was missing: created with the key in {clear.name}"),)
    key = keys.new_key()
    # The hash goes first: a key in clear that the gateway does not know would be of no use.
    keys.add(hashes, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
    write_atomically(clear, key + "\n")
    return (
        CreatedSecret(clear, "your first API key, in clear; move it to where you need it"),
        CreatedSecret(hashes, "its hash"),
    )


def _canary_key(settings: Settings) -> tuple[CreatedSecret, ...]:
    """The key of the privacy canary, where it is wanted; one that was lost is replaced."""
    path = layout.privacy_canary_key_file(settings)
    if not settings.privacy_canary or path.exists():
        return ()
    key = keys.new_key()
    is_known = any(entry.name == CANARY_KEY_NAME for entry in keys.read(settings.keys_file))
    if is_known:  # the lost one, which somebody may have found
        keys.revoke(settings.keys_file, CANARY_KEY_NAME)
    layout.make_directory(settings, path.parent)
    keys.add(settings.keys_file, keys.Entry(CANARY_KEY_NAME, keys.digest(key)), rotate=is_known)
    write_atomically(path, key + "\n")
    return (CreatedSecret(path, "the privacy canary's API key"),)


def _grafana_password(settings: Settings) -> tuple[CreatedSecret, ...]:
    path = settings.grafana_password_file
    if path.exists():
        return ()
    layout.make_directory(settings, path.parent)
    write_atomically(path, secrets.token_urlsafe(24) + "\n")
    return (CreatedSecret(path, "of Grafana's user admin; Grafana takes it at its first start"),)


def _certificate(settings: Settings) -> tuple[CreatedSecret, ...]:
    path, key_path = settings.certificate, settings.certificate_key
    text = path.read_text(encoding="utf-8") if path.exists() else None
    key = key_path.read_text(encoding="utf-8") if key_path.exists() else None
    prefix = ""
    if text is not None:
        try:
            reason = certificate.renewal_reason(text, key or "", settings.certificate_names)
            is_managed = certificate.is_managed(text)
        except ValueError as error:
            raise SecretsError(f"{settings.shown(path)} is not a certificate: {error}.") from error
        if key is None and not is_managed:
            raise SecretsError(
                f"{settings.shown(key_path)} is missing, and Glasshouse did not create the certificate beside it: put "
                "the key back, or remove the certificate too to have both created."
            )
        if reason is None:
            return ()
        prefix = f"{reason}: a new one, "
    try:
        pair = certificate.make(settings.certificate_names, key=key)
    except ValueError as error:
        if text is None:  # it may be the owner's, whose certificate is still to come
            raise SecretsError(f"{settings.shown(key_path)} is not a usable key: {error}.") from error
        key, pair = None, certificate.make(settings.certificate_names)
    try:
        layout.make_directory(settings, path.parent)
        if key is None:
            write_atomically(key_path, pair.key)
        write_atomically(path, pair.certificate, mode=0o644)
    except OSError as error:
        if text is None or key is None or not is_unwritable(error):
            raise
        print(f"{settings.shown(path)} should be replaced, but cannot be written: {prefix.partition(':')[0]}.")
        return ()
    return (CreatedSecret(path, f"{prefix}self-signed, valid for 199 days"),)

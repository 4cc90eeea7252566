"""The files in `secrets/`: made at the first start, never shown, never made again while they are there."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from glasshouse import certificate, keys, secret_layout
from glasshouse.errors import SecretsError
from glasshouse.files import is_unwritable, locked, who_owns, write_atomically
from glasshouse.screen import table
from glasshouse.settings import Settings

FIRST_KEY_NAME = "owner"


@dataclass(frozen=True, slots=True)
class Made:
    """One file that was made, and what its owner has to know about it."""

    path: Path
    what: str


def init(settings: Settings, *, docker: bool = False) -> tuple[Made, ...]:
    """Makes every secret that is missing and touches no other; returns what was made.

    A directory that cannot be written is good enough when nothing is missing.

    Args:
        settings: where they lie, and the names that the certificate is for.
        docker: whether each service sees only its own directory, and Grafana is one of them. A certificate is then made
            only where there is none: whether the one there is still good is for `certificate-init` to say.

    Raises:
        SecretsError: A file or directory cannot be made or read; what is missing is named.
        KeysError: keys.yaml is there and is wrong.
    """
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(settings.secrets_dir):
            secret_layout.move_old(settings)
            if docker:
                secret_layout.require_inside(settings)
            password = _grafana_password(settings) if docker else ()
            made = (*_engine_key(settings), *_first_key(settings), *password)
            if docker and settings.certificate.exists() and settings.certificate_key.exists():
                return made
            return (*made, *_certificate(settings))
    except (OSError, UnicodeError) as error:
        missing = [settings.shown(path) for path in _needed(settings, docker=docker) if not path.exists()]
        subject = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing and" if missing else (
            f"The secrets in {settings.shown(settings.secrets_dir)}"
        )  # fmt: skip
        raise SecretsError(f"{subject} cannot be made: {error}.{who_owns(error)}") from error


def make_certificate(settings: Settings) -> tuple[Made, ...]:
    """Makes the self-signed certificate where there is none, and anew where it ends soon or lacks a name that is set.

    Raises:
        SecretsError: It cannot be made or read.
    """
    try:
        with _alone(settings.secrets_dir):
            return _certificate(settings)
    except (OSError, UnicodeError) as error:
        shown = settings.shown(settings.certificate)
        raise SecretsError(f"The certificate {shown} cannot be made: {error}.{who_owns(error)}") from error


def print_made(settings: Settings, made: tuple[Made, ...]) -> None:
    """Says which secrets were made: where, never what."""
    if made:
        print("Made secrets:\n" + table([(settings.shown(one.path), f"({one.what})") for one in made]))


def rotate_engine_key(settings: Settings) -> None:
    """Puts the next engine key into force, which the engines have accepted since they started, and makes another.

    The old one is accepted until the engines are started again. A run that was cut short is completed by the next.

    Raises:
        SecretsError: There is no next key, or a file cannot be written.
    """
    path, following = settings.engine_key_file, next_engine_key_file(settings)
    try:
        with locked(settings.secrets_dir / ".lock"):
            key = following.read_text(encoding="utf-8")
            if path.read_text(encoding="utf-8") != key:
                write_atomically(path, key)
            write_atomically(following, _new_engine_key())
    except (OSError, UnicodeError) as error:
        raise SecretsError(f"The engine key cannot be rotated: {error}.{who_owns(error)}") from error


def next_engine_key_file(settings: Settings) -> Path:
    """The key that engines accept beside the one in force, and that takes its place when it is rotated."""
    return settings.engine_key_file.with_name(f"{settings.engine_key_file.name}.next")


def next_engine_key_made_at(settings: Settings) -> float:
    """When the next engine key was made, in seconds since 1970.

    Raises:
        SecretsError: There is none.
    """
    path = next_engine_key_file(settings)
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise SecretsError(
            f"There is no next engine key to put into force ({settings.shown(path)}): a start makes it, make up."
            f"{who_owns(error)}"
        ) from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Holds the directory's lock. Where nothing can be written no lock is needed: nothing can be made either."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(directory / ".lock"))
            directory.chmod(0o700)
        except OSError as error:
            if not is_unwritable(error):
                raise
        yield


def _needed(settings: Settings, *, docker: bool) -> tuple[Path, ...]:
    """The files without which a service does not start."""
    password = (settings.grafana_password_file,) if docker else ()
    pair = (settings.certificate, settings.certificate_key)
    return (settings.engine_key_file, settings.keys_file, *password, *pair)


def _new_engine_key() -> str:
    # Hex, because hex can hold no word that a check for placeholders would take for one.
    return secrets.token_hex(32) + "\n"


def _engine_key(settings: Settings) -> tuple[Made, ...]:
    path, following = settings.engine_key_file, next_engine_key_file(settings)
    made: tuple[Made, ...] = ()
    if not path.exists():
        secret_layout.make_directory(settings, path.parent)
        # Engines that run accept the next one already.
        write_atomically(path, following.read_text(encoding="utf-8") if following.exists() else _new_engine_key())
        made = (Made(path, "what the gateway shows to the engines"),)
    if not following.exists() or following.read_bytes() == path.read_bytes():
        try:
            write_atomically(following, _new_engine_key())
        except OSError as error:
            if not is_unwritable(error):  # only a rotation needs it
                raise
    return made


def _first_key(settings: Settings) -> tuple[Made, ...]:
    clear, table = settings.api_key_file, settings.keys_file
    if table.exists() and (clear.exists() or keys.read(table)):
        return ()  # without the key in clear, its owner has moved it to where it belongs
    secret_layout.make_directory(settings, table.parent)
    if clear.exists():
        key = clear.read_text(encoding="utf-8").strip()
        keys.add(table, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
        return (Made(table, f"keys.yaml was missing: made with the key in {clear.name}"),)
    key = keys.new_key()
    # The hash goes first: a key in clear that the gateway does not know would be of no use.
    keys.add(table, keys.Entry(FIRST_KEY_NAME, keys.digest(key), role="admin"))
    write_atomically(clear, key + "\n")
    return (Made(clear, "your first API key, in clear; move it to where you need it"), Made(table, "its hash"))


def _grafana_password(settings: Settings) -> tuple[Made, ...]:
    path = settings.grafana_password_file
    if path.exists():
        return ()
    secret_layout.make_directory(settings, path.parent)
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
    try:
        pair = certificate.make(settings.certificate_names, key=key)
    except ValueError as error:
        if text is None:  # it may be the owner's, whose certificate is still to come
            raise SecretsError(f"{settings.shown(key_path)} holds no key that can be used: {error}.") from error
        key, pair = None, certificate.make(settings.certificate_names)
    try:
        secret_layout.make_directory(settings, path.parent)
        if key is None:
            write_atomically(key_path, pair.key)
        write_atomically(path, pair.certificate, mode=0o644)
    except OSError as error:
        if text is None or key is None or not is_unwritable(error):
            raise
        print(f"{settings.shown(path)} should be replaced, and cannot be written: {reason.partition(':')[0]}.")
        return ()
    return (Made(path, f"{reason}self-signed, for 199 days"),)

"""What the one-shot container `init` does: it creates the secrets, and gives each service what is its own.

It runs as root, as no other container does, so that it can give directories that Docker has created as root's to the
services' user. The API and the engines wait for it, so it reads no setting that somebody may want to change under load:
alerts and the names in the certificate have containers of their own (docs/decisions/0022).
"""

import os
from pathlib import Path

from glasshouse.errors import SecretsError, SettingsError
from glasshouse.files import is_unwritable, write_atomically
from glasshouse.secrets import bootstrap, layout
from glasshouse.settings import Settings

_NOBODY = 65_534  # node-exporter's user


def init(settings: Settings, uid: int, gid: int, data: Path) -> tuple[bootstrap.CreatedSecret, ...]:
    """Creates what is missing, and sets owners; a second run changes nothing.

    Args:
        settings: where the secrets lie.
        uid: the user of the services.
        gid: their group.
        data: a directory of volumes that belong to the services.

    Returns:
        The secrets that were created.

    Raises:
        SettingsError: The services would run as node-exporter's user, which sees the whole disk.
        SecretsError: Something cannot be created, read or given to its owner.
        KeysError: keys.yaml is there and is wrong.
    """
    if uid == _NOBODY:
        raise SettingsError(
            f"GLASSHOUSE_UID={uid} is not allowed: node-exporter sees the whole disk as that user, and would read all "
            "secrets. Any other number is."
        )
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _own_secrets(settings, uid, gid)
        made = bootstrap.create_missing(settings, docker=True)
        _create_empty_mail_password(settings)
        _own_secrets(settings, uid, gid)
        for mounted in data.iterdir():
            _own(mounted, uid, gid)
    except OSError as error:
        raise SecretsError(f"The secrets and volumes cannot be prepared: {error}.") from error
    return tuple(_with_reset_hint(each, settings, data) for each in made)


def _with_reset_hint(made: bootstrap.CreatedSecret, settings: Settings, data: Path) -> bootstrap.CreatedSecret:
    """Grafana keeps the password of its first start: it does not know one that is created later."""
    if made.path == settings.grafana_password_file and (data / "grafana" / "grafana.db").exists():
        reset = "docker compose exec grafana grafana cli admin reset-admin-password NEW"
        return bootstrap.CreatedSecret(made.path, f"the old one was lost, and Grafana still has it: {reset}")
    return made


def _create_empty_mail_password(settings: Settings) -> None:
    """Grafana does not start without a file that its settings name; an empty one is no password."""
    file = settings.grafana_password_file.with_name("smtp-password")
    if not file.exists():
        write_atomically(file, "")


def _own_secrets(settings: Settings, uid: int, gid: int) -> None:
    """Gives the secrets to the services' user. On a read-only mount they have to be readable as they are."""
    try:
        for directory in layout.DIRECTORIES:
            layout.make_directory(settings, settings.secrets_dir / directory)
            _own(settings.secrets_dir / directory, uid, gid)
        _own(settings.secrets_dir, uid, gid)
    except OSError as error:
        if not is_unwritable(error):
            raise


def _own(directory: Path, uid: int, gid: int) -> None:
    """Sets the owner of a tree. If its top has that owner already, only the level below is checked."""
    top = directory.stat()
    is_owned = (top.st_uid, top.st_gid) == (uid, gid)
    # The top goes last: a tree whose change was cut short is walked again.
    for path in (*(directory.glob("*") if is_owned else directory.rglob("*")), directory):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.chown(path, uid, gid, follow_symlinks=False)

"""What the one-shot container `init` does: it makes the secrets, and gives to each service what is its own.

It runs as root, which no other container does, so that directories that Docker has made as root can be handed over to
the user as whom the services run. The API and the engines wait for it, so it reads no setting that somebody may want to
change under load: alerts and the names in the certificate have containers of their own (docs/decisions/0022).
"""

import os
from pathlib import Path

from glasshouse import secret_files, secret_layout
from glasshouse.errors import SecretsError, SettingsError
from glasshouse.files import is_unwritable, write_atomically
from glasshouse.settings import Settings

_NOBODY = 65_534


def init(settings: Settings, uid: int, gid: int, data: Path) -> tuple[secret_files.Made, ...]:
    """Makes what is missing, and sees to owners; a second run changes nothing.

    Args:
        settings: where the secrets lie.
        uid: the user of the services.
        gid: their group.
        data: a directory of volumes that belong to the services.

    Returns:
        The secrets that were made.

    Raises:
        SettingsError: The services would be the user as whom node-exporter runs, which sees the whole disk.
        SecretsError: Something cannot be made, read or given away.
        KeysError: keys.yaml is there and is wrong.
    """
    if uid == _NOBODY:
        raise SettingsError(
            f"GLASSHOUSE_UID={uid} is not allowed: node-exporter sees the whole disk as that user, and would read all "
            "secrets. Any other number is."
        )
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give_secrets(settings, uid, gid)
        made = secret_files.init(settings, docker=True)
        _make_empty_mail_password(settings)
        _give_secrets(settings, uid, gid)
        for mounted in data.iterdir():
            _give(mounted, uid, gid)
    except OSError as error:
        raise SecretsError(f"The secrets and volumes cannot be prepared: {error}.") from error
    return tuple(_told(one, settings, data) for one in made)


def _told(made: secret_files.Made, settings: Settings, data: Path) -> secret_files.Made:
    """Grafana keeps the password of its first start: one that is made later is not the one that it knows."""
    if made.path == settings.grafana_password_file and (data / "grafana" / "grafana.db").exists():
        reset = "docker compose exec grafana grafana cli admin reset-admin-password NEW"
        return secret_files.Made(made.path, f"the old one was lost, and Grafana still has it: {reset}")
    return made


def _make_empty_mail_password(settings: Settings) -> None:
    """Grafana does not start without a file that its settings name; an empty one is no password."""
    file = settings.grafana_password_file.with_name("smtp-password")
    if not file.exists():
        write_atomically(file, "")


def _give_secrets(settings: Settings, uid: int, gid: int) -> None:
    """Hands the secrets over. Where nothing can be changed they have to be readable as they are."""
    try:
        for directory in secret_layout.DIRECTORIES:
            secret_layout.make_directory(settings, settings.secrets_dir / directory)
            _give(settings.secrets_dir / directory, uid, gid)
        _give(settings.secrets_dir, uid, gid)
    except OSError as error:
        if not is_unwritable(error):
            raise


def _give(directory: Path, uid: int, gid: int) -> None:
    """Hands over a tree. One whose top is the user's already is only looked through one level down."""
    top = directory.stat()
    theirs = (top.st_uid, top.st_gid) == (uid, gid)
    # The top goes last: a tree whose change was cut short is gone through again.
    for path in (*(directory.glob("*") if theirs else directory.rglob("*")), directory):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.chown(path, uid, gid, follow_symlinks=False)

"""What the one-shot container `init` does: it makes the secrets, and gives to each service what is its own.

It runs as root, which no other container does, so that directories that Docker has made as root can be handed over to
the user as whom the services run.
"""

import os
from pathlib import Path

from glasshouse import secret_files
from glasshouse.errors import SecretsError
from glasshouse.files import write_atomically
from glasshouse.settings import Settings

# What engines and Prometheus, what vLLM alone, and what Grafana may see; whatever else lies in secrets/ they do not.
_COPIES = {
    "engine": ("engine-key",),
    "hub": ("hf-token",),
    "grafana": ("grafana-password", "alert-url", "smtp-password"),
}

# Grafana does not start without a file that its settings name; an empty one is no password.
_EMPTY_IF_MISSING = frozenset({"smtp-password"})


def init(settings: Settings, uid: int, gid: int, hand: Path, data: Path) -> tuple[secret_files.Made, ...]:
    """Makes what is missing, and sees to owners; a second run changes nothing.

    Args:
        settings: where the secrets lie.
        uid: the user of the services.
        gid: their group.
        hand: a directory of volumes named as in `_COPIES`, into which copies go.
        data: a directory of volumes that belong to the services.

    Returns:
        The secrets that were made.

    Raises:
        SecretsError: Something cannot be made, read or given away.
        KeysError: keys.yaml is there and is wrong.
    """
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give(settings.secrets_dir, uid, gid)
        _bring_back_password(settings, hand / "grafana")
        made = secret_files.init(settings, grafana=True)
        _require_address(settings)
        for volume, names in _COPIES.items():
            _copy(settings.secrets_dir, names, hand / volume)
        for mounted in (*hand.iterdir(), *data.iterdir()):
            _give(mounted, uid, gid)
    except OSError as error:
        raise SecretsError(f"The secrets and volumes cannot be prepared: {error}.") from error
    return made


def _bring_back_password(settings: Settings, volume: Path) -> None:
    """Grafana keeps the password of its first start: where the file was lost, the copy is worth more than a new one."""
    file = settings.grafana_password_file
    copy = volume / file.name
    if not file.exists() and copy.exists():
        write_atomically(file, copy.read_text(encoding="utf-8"))


def _require_address(settings: Settings) -> None:
    """Grafana does not start without the address that it is told to send alerts to."""
    kind, file = settings.environment.get("ALERTS_TO", "nobody"), settings.secrets_dir / "alert-url"
    if kind == "email":
        if missing := [name for name in ("ALERTS_EMAIL", "SMTP_HOST") if not settings.environment.get(name)]:
            raise SecretsError(f"ALERTS_TO='email', but {' and '.join(missing)} in .env must be set.")
    elif kind != "nobody" and not (file.exists() and file.read_text(encoding="utf-8").startswith("http")):
        raise SecretsError(f"ALERTS_TO={kind!r}, but the file alert-url beside the API key does not hold its address.")


def _copy(secrets: Path, names: tuple[str, ...], volume: Path) -> None:
    for name in names:
        source, copy = secrets / name, volume / name
        if not source.exists() and name not in _EMPTY_IF_MISSING:
            copy.unlink(missing_ok=True)
            continue
        text = source.read_text(encoding="utf-8") if source.exists() else ""
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            write_atomically(copy, text)


def _give(directory: Path, uid: int, gid: int) -> None:
    """Hands over a tree. One whose top is the user's already is only looked through one level down."""
    top = directory.stat()
    theirs = (top.st_uid, top.st_gid) == (uid, gid)
    # The top goes last: a tree whose change was cut short is gone through again.
    for path in (*(directory.glob("*") if theirs else directory.rglob("*")), directory):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.chown(path, uid, gid, follow_symlinks=False)

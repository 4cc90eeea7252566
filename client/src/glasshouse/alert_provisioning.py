"""Grafana's alert provisioning, written by the one-shot container `grafana-init` for the contact point in ALERTS_TO.

Grafana does not start if a contact point lacks its address, and Docker creates no container whose mount has no source.
Both are reported here, in one sentence, before Grafana starts and without affecting anything else.
"""

import os
import re
from pathlib import Path

from glasshouse.errors import SecretsError, SettingsError
from glasshouse.files import write_atomically
from glasshouse.settings import Settings

_RUNBOOK = "docs/runbook.md"
_SHIPPED_LINK = "runbook_url: "
# Grafana expands `$` and templates in its files; an anchor follows.
_ADDRESS = re.compile(r"https?://[\w.~:/?=&%@+,;\[\]-]+", re.ASCII)


def write(settings: Settings, source: Path, target: Path) -> None:
    """Writes the files for Grafana's alert provisioning into `target`, and removes everything else there.

    Args:
        settings: the contact point (ALERTS_TO), the quiet hours (ALERTS_QUIET), the address of the runbook
            (RUNBOOK_URL), and where the secrets are.
        source: the directory `grafana` of the checkout.
        target: a directory of Grafana's own.

    Raises:
        SettingsError: There is no such contact point, no such quiet hours, or the runbook's address is none.
        SecretsError: The address is missing, or a file cannot be read or written.
    """
    point = _chosen(settings, "ALERTS_TO", "nobody", source / "contact-points")
    hours = _chosen(settings, "ALERTS_QUIET", "never", source / "quiet-hours")
    _require_address(settings, point.stem)
    runbook = _runbook(settings)
    files = {file.name: file for file in (source / "provisioning" / "alerting").glob("*.yaml")}
    files |= {"contact-points.yaml": point, "quiet-hours.yaml": hours}
    try:
        for name, file in files.items():
            text = file.read_text(encoding="utf-8")
            write_atomically(target / name, text.replace(f"{_SHIPPED_LINK}{_RUNBOOK}#", f"{_SHIPPED_LINK}{runbook}#"))
        for stale in target.iterdir():
            if stale.name not in files:
                stale.unlink()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsError(f"Grafana's alert provisioning cannot be written: {error}.") from error


def _runbook(settings: Settings) -> str:
    """The runbook's address for the alerts' links, or its path in the repository."""
    address = settings.environment.get("RUNBOOK_URL") or _RUNBOOK
    if address != _RUNBOOK and not _ADDRESS.fullmatch(address):
        raise SettingsError(
            f"RUNBOOK_URL={address!r} is not allowed: use the http or https address of {_RUNBOOK}, without spaces, "
            "quotes, $ and #."
        )
    return address


def _chosen(settings: Settings, name: str, default: str, directory: Path) -> Path:
    """The file that a setting names; only known names are accepted, so that it cannot be a path."""
    known = {file.stem: file for file in sorted(directory.glob("*.yaml"))}
    if not known:
        raise SecretsError(f"User {os.getuid()} can read no file in {directory}: chmod -R a+rX grafana")
    value = settings.environment.get(name, default)
    if value not in known:
        *others, last = known
        raise SettingsError(f"{name}={value!r} is not allowed: use {', '.join(others)} or {last}.")
    return known[value]


def _require_address(settings: Settings, kind: str) -> None:
    """Grafana does not start without the address of its contact point."""
    file = settings.grafana_password_file.with_name("alert-url")
    if kind == "email":
        if missing := [name for name in ("ALERTS_EMAIL", "SMTP_HOST") if not settings.environment.get(name)]:
            raise SecretsError(f"ALERTS_TO='email', but .env does not set {' and '.join(missing)}.")
    elif kind != "nobody" and not _holds_address(file):
        raise SecretsError(f"ALERTS_TO={kind!r}, but the file {settings.shown(file)} does not hold its address.")


def _holds_address(file: Path) -> bool:
    try:
        return file.read_text(encoding="utf-8").startswith("http")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsError(f"The address for alerts cannot be read: {error}.") from error

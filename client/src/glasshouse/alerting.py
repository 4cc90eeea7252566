"""What the one-shot container `grafana-init` does: it checks who is told of alerts, and lays out what Grafana reads.

Grafana does not start with a contact point that lacks its address, and Docker creates no container whose mount has no
source. Both are found here, in a sentence, before Grafana and without anything else taking notice.
"""

import os
from pathlib import Path

from glasshouse.errors import SecretsError, SettingsError
from glasshouse.files import write_atomically
from glasshouse.settings import Settings


def lay_out(settings: Settings, source: Path, target: Path) -> None:
    """Puts the files for Grafana's provisioning of alerts into `target`, and removes what else lies there.

    Args:
        settings: who is told (ALERTS_TO), when tickets wait (ALERTS_QUIET), and where the secrets lie.
        source: the directory `grafana` of the checkout.
        target: a directory of Grafana's own.

    Raises:
        SettingsError: ALERTS_TO or ALERTS_QUIET names nothing that there is.
        SecretsError: An address is missing, or a file cannot be read or written.
    """
    point = _chosen(settings, "ALERTS_TO", "nobody", source / "contact-points")
    hours = _chosen(settings, "ALERTS_QUIET", "never", source / "quiet-hours")
    _require_address(settings, point.stem)
    files = {file.name: file for file in (source / "provisioning" / "alerting").glob("*.yaml")}
    files |= {"contact-points.yaml": point, "quiet-hours.yaml": hours}
    try:
        for name, file in files.items():
            write_atomically(target / name, file.read_text(encoding="utf-8"))
        for left in target.iterdir():
            if left.name not in files:
                left.unlink()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsError(f"The files that tell Grafana of alerts cannot be written: {error}.") from error


def _chosen(settings: Settings, name: str, default: str, directory: Path) -> Path:
    """The file that a setting names; only a name that is there is taken, so that it can be no path."""
    there = {file.stem: file for file in sorted(directory.glob("*.yaml"))}
    if not there:
        raise SecretsError(f"{directory} has no file that user {os.getuid()} can read: chmod -R a+rX grafana")
    value = settings.environment.get(name, default)
    if value not in there:
        *others, last = there
        raise SettingsError(f"{name}={value!r} is not allowed: {', '.join(others)} or {last} is.")
    return there[value]


def _require_address(settings: Settings, kind: str) -> None:
    """Grafana does not start without the address that it is told to send alerts to."""
    file = settings.grafana_password_file.with_name("alert-url")
    if kind == "email":
        if missing := [name for name in ("ALERTS_EMAIL", "SMTP_HOST") if not settings.environment.get(name)]:
            raise SecretsError(f"ALERTS_TO='email', but {' and '.join(missing)} in .env must be set.")
    elif kind != "nobody" and not _holds_address(file):
        raise SecretsError(f"ALERTS_TO={kind!r}, but the file {settings.shown(file)} does not hold its address.")


def _holds_address(file: Path) -> bool:
    try:
        return file.read_text(encoding="utf-8").startswith("http")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsError(f"The address of alerts cannot be read: {error}.") from error

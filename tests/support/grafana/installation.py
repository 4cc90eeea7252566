"""The Grafana that GRAFANA_HOME names: an unpacked release, or a built source tree."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_REQUIREMENT = "GRAFANA_HOME must name an unpacked Grafana from 9.4 on, with bin/, conf/ and a built public/ in it"
_MIN_VERSION = (9, 4)


class InstallationError(Exception):
    """GRAFANA_HOME is not set, or does not hold a Grafana that these tests can use."""


@dataclass(frozen=True)
class Installation:
    """A Grafana on disk.

    Attributes:
        path: what `--homepath` gets.
        command: what starts the server.
        version: as it reports itself, e.g. 9.4.0-pre.
    """

    path: Path
    command: tuple[str, ...]
    version: str


def find() -> Installation:
    """The Grafana in GRAFANA_HOME.

    Raises:
        InstallationError: it is not set, a part of Grafana is missing, or it is too old.
    """
    if not (home := os.environ.get("GRAFANA_HOME")):
        raise InstallationError(f"{_REQUIREMENT}; it is not set.")
    path = Path(home).expanduser().resolve()
    command = _command(path)
    for part in ("conf/defaults.ini", "public/build"):
        if not (path / part).exists():
            raise InstallationError(f"{_REQUIREMENT}; {path} has no {part}.")
    output = subprocess.run([command[0], "-v"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)\S*", output, re.IGNORECASE)
    if found is None or (int(found[1]), int(found[2])) < _MIN_VERSION:
        raise InstallationError(f"{_REQUIREMENT}; {command[0]} says: {output.strip() or 'nothing'}.")
    return Installation(path, command, found[0].split()[1])


def _command(path: Path) -> tuple[str, ...]:
    """A release has bin/grafana, a build bin/SYSTEM/grafana; `grafana-server` is the older name of its server."""
    for pattern, arguments in (("grafana", ("server",)), ("*/grafana", ("server",)), ("grafana-server", ())):
        for program in sorted((path / "bin").glob(pattern)):
            if program.is_file() and os.access(program, os.X_OK):
                return (str(program), *arguments)
    raise InstallationError(f"{_REQUIREMENT}; {path} has no bin/grafana.")

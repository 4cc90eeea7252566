"""The machine as it is asked: programs on a PATH, and the files in which its kernel and services tell of it."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT_S = 15.0
_ROOT = Path("/")


def _root() -> Path:
    return _ROOT


@dataclass(frozen=True, slots=True)
class System:
    """Programs are those on the PATH of `environment`; /proc, /sys, /etc and /run are looked for below `root`."""

    environment: Mapping[str, str]
    root: Path = field(default_factory=_root)

    def has(self, program: str) -> bool:
        """Whether there is such a program."""
        return shutil.which(program, path=self.environment.get("PATH")) is not None

    def ask(self, program: str, *arguments: str) -> tuple[bool, str]:
        """Runs a small question: whether it ended well, and what it said. One that hangs did not."""
        found = shutil.which(program, path=self.environment.get("PATH"))
        if found is None:
            return False, ""
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and a program of the person's own PATH
                [found, *arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, str(error)
        return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip()

    def path(self, place: str | Path) -> Path:
        """Where a place such as `proc/meminfo` is, with its leading slash or without."""
        return self.root / str(place).lstrip("/")

    def read(self, place: str | Path) -> str:
        """The text of a file; empty where it is missing or not to be read."""
        try:
            return self.path(place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def entries(self, place: str | Path) -> tuple[str, ...]:
        """The entries of a directory, as places; none where it is missing or not to be read."""
        try:
            return tuple(sorted(f"{place}/{one.name}" for one in self.path(place).iterdir()))
        except OSError:
            return ()

"""The virtual environment, copied while another version installs its packages into it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Packages:
    """The `.venv` of a checkout. A copy takes no space: its files are hard links, and an installer replaces files."""

    root: Path

    def keep(self) -> None:
        """Copies it.

        Raises:
            OSError: The file system has no hard links.
        """
        self.forget()
        shutil.copytree(self._venv, self._copy, symlinks=True, copy_function=os.link)

    def put_back(self) -> None:
        """Puts the copy back, newer than the lock files that it was installed from.

        Raises:
            OSError: It cannot be moved.
        """
        shutil.rmtree(self._venv)
        self._copy.rename(self._venv)
        (self._venv / ".installed").touch()

    def forget(self) -> None:
        """Removes the copy."""
        shutil.rmtree(self._copy, ignore_errors=True)

    @property
    def _venv(self) -> Path:
        return self.root / ".venv"

    @property
    def _copy(self) -> Path:
        return self.root / ".venv-before"

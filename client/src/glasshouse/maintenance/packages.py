"""The virtual environment, kept while another version installs its packages into it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Packages:
    """The `.venv` of a checkout. A copy costs no room: its files are links, and an installer replaces files."""

    root: Path

    def keep(self) -> None:
        """Copies it.

        Raises:
            OSError: The disk allows no links.
        """
        self.forget()
        shutil.copytree(self._place, self._copy, symlinks=True, copy_function=os.link)

    def put_back(self) -> None:
        """Puts the copy in its place again, newer than the lists that it was made from.

        Raises:
            OSError: It cannot be moved.
        """
        shutil.rmtree(self._place)
        self._copy.rename(self._place)
        (self._place / ".installed").touch()

    def forget(self) -> None:
        """Removes the copy."""
        shutil.rmtree(self._copy, ignore_errors=True)

    @property
    def _place(self) -> Path:
        return self.root / ".venv"

    @property
    def _copy(self) -> Path:
        return self.root / ".venv-before"

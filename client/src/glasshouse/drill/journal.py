"""What a drill has changed and has to undo, in a file: a drill that was killed is undone by the next command."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from glasshouse.errors import DrillError
from glasshouse.files import write_atomically


@dataclass(frozen=True, slots=True)
class Changes:
    """What has been changed.

    Attributes:
        stopped: services of the stack that were stopped.
        silences: identifiers of Grafana's silences.
    """

    stopped: tuple[str, ...] = field(default=())
    silences: tuple[str, ...] = field(default=())


class Journal:
    """The file; it exists while there is something to undo.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_open(self) -> bool:
        """Whether a drill has begun and has not been undone."""
        return self._path.exists()

    def read(self) -> Changes:
        """What has been changed.

        Raises:
            DrillError: The file cannot be read.
        """
        try:
            written = json.loads(self._path.read_text(encoding="utf-8"))
            return Changes(tuple(written["stopped"]), tuple(written["silences"]))
        except FileNotFoundError:
            return Changes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DrillError(
                f"{self._path} cannot be read: {error}. Start what is off (make ps), then remove it."
            ) from error

    def begin(self) -> Self:
        """Writes an empty one, before anything is changed."""
        self._write(Changes())
        return self

    def add(self, *, stopped: str | None = None, silence: str | None = None) -> None:
        """Notes a change; a service before it is stopped, a silence once its identifier is known."""
        now = self.read()
        self._write(
            Changes((*now.stopped, *((stopped,) if stopped else ())), (*now.silences, *((silence,) if silence else ())))
        )

    def remove(self, *, stopped: str | None = None, silence: str | None = None) -> None:
        """Forgets a change that has been undone."""
        now = self.read()
        self._write(
            replace(
                now,
                stopped=tuple(each for each in now.stopped if each != stopped),
                silences=tuple(each for each in now.silences if each != silence),
            )
        )

    def end(self) -> None:
        """Removes the file: nothing is left to undo."""
        self._path.unlink(missing_ok=True)

    def _write(self, changes: Changes) -> None:
        write_atomically(self._path, json.dumps(asdict(changes)))

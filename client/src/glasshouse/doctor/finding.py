"""What a check finds, and what it may look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from glasshouse.settings import Kind, Settings
from glasshouse.stack.machine import Machine
from glasshouse.system import System

Level = Literal["ok", "warning", "failure", "not checked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject; a problem has a remedy, in the sentence or as a line of its own.

    Attributes:
        level: `ok`; `warning`: a start may succeed; `failure`: it does not; `not checked`: this machine does not tell.
        subject: what was checked, in a word or two.
        text: what was found.
        remedy: what to do about it.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What is checked: this machine, for the shape that runs here or would be started."""

    settings: Settings
    system: System
    machine: Machine
    kind: Kind

    def setting(self, name: str, default: str) -> str:
        """A variable as the programs would get it."""
        return self.settings.environment.get(name, default)

    def number(self, name: str, default: int) -> int:
        """A variable that is a number; another value is refused by the program that reads it."""
        text = self.setting(name, str(default))
        return int(text) if text.isdecimal() else default


Check = Callable[[Target], Iterator[Finding]]

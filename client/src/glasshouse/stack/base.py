"""What every command may ask of a stack, whether Compose runs it or supervisord does.

`detect` says which one a checkout has. Nothing else asks "native or Docker?".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glasshouse.settings import Kind
from glasshouse.stack.data.base import StackData
from glasshouse.stack.endpoint import Endpoint
from glasshouse.stack.ports import Port
from glasshouse.stack.rig import Rig
from glasshouse.stack.shape import Shape

STARTING_ELSEWHERE = "Another `make up` is starting this stack. To end it: make down"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A program or container: its state in a word; `pid` is None in Docker, and `uptime_s` where it does not run."""

    name: str
    state: str
    pid: int | None
    uptime_s: float | None


class Stack(Protocol):
    """The stack of one checkout in one shape, running or not."""

    @property
    def kind(self) -> Kind:
        """Its shape."""

    @property
    def exists(self) -> bool:
        """Whether anything of it is left: a process, or a container that runs or has ended."""

    @property
    def is_running(self) -> bool:
        """Whether any process of it runs."""

    @property
    def is_supervised(self) -> bool:
        """Whether it runs and what ends is started again."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers.

        Raises:
            StackError: It does not run.
        """

    @property
    def services(self) -> Sequence[ServiceStatus]:
        """Its programs or containers; none where its supervisor does not answer."""

    @property
    def engine_start_times(self) -> Mapping[str, float]:
        """The engines that run, and when each was started, in seconds since 1970."""

    @property
    def data(self) -> StackData:
        """What a backup saves of it."""

    @property
    def data_users(self) -> Sequence[Path]:
        """The checkouts whose programs run and use its data: its own, or another one with the same volumes."""

    def ports(self, shape: Shape | None) -> tuple[Port, ...]:
        """The ports that a start in `shape` needs; those that any needs where it is None."""

    def start(self, shape: Shape, *, attach: bool) -> None:
        """Starts it and returns when it answers; with `attach`, when it has ended.

        Raises:
            GlasshouseError: It could not start; everything that had been started is ended again.
            KeyboardInterrupt: Ctrl-C came meanwhile; likewise.
        """

    def require_started(self) -> None:
        """Checks, while another command holds the lock of a start, that this start is over.

        Raises:
            StackError: It may still be under way.
        """

    def reapply(self, *, attach: bool) -> None:
        """What `up` does to a running stack: applies what has changed since, where that needs no restart.

        Raises:
            GlasshouseError: It does not get ready; what runs is left running.
        """

    def print_status(self) -> None:
        """Prints a row for each program or container, and the address."""

    def logs(self, service: str | None, lines: int, *, follow: bool) -> None:
        """Prints the last `lines` lines of each log, or of one; with `follow`, new ones as they come.

        Raises:
            StackError: There is no such log; the text names those that there are.
        """

    def down(self) -> bool:
        """Ends everything of it and says so; false, and silent, where nothing was there.

        Raises:
            StackError: Something of it cannot be ended.
        """

    def restart_command(self, services: Sequence[str]) -> str:
        """What a person types to restart these services."""

    def rig(self) -> Rig:
        """What a drill needs of it, while it runs.

        Raises:
            StackError: It has no Grafana, which evaluates the alerts.
        """

    def rollout(self) -> "Rollout":
        """The steps that replace it by another version of itself."""


class SavedData(Protocol):
    """A stack's data as a backup holds it."""

    @property
    def names(self) -> Sequence[str]:
        """Its components, without the files of settings, which are the code's."""

    def differs(self, name: str) -> bool:
        """Whether a component has changed since the backup.

        Raises:
            GlasshouseError: It cannot be read.
        """

    def restore(self, names: Sequence[str]) -> None:
        """Restores components, whatever is there now.

        Raises:
            GlasshouseError: One cannot be written.
        """


class Rollout(Protocol):
    """How a running stack is replaced by another version, and how that is rolled back."""

    def prepare(self) -> None:
        """Keeps what a rollback needs, before anything changes."""

    def stop_new(self) -> None:
        """Ends what the new version has started, before the old code is checked out again."""

    def roll_back(self, saved: SavedData) -> Sequence[str]:
        """With the old code checked out: brings back the rest, and starts it.

        Returns:
            The components whose data was restored.

        Raises:
            GlasshouseError: It cannot.
        """

    def complete(self) -> str:
        """Removes what only a rollback needed; returns a sentence about it."""

    def cancel(self) -> None:
        """Takes `prepare` back where nothing else has been changed."""


def changed_secrets(saved: SavedData) -> tuple[str, ...]:
    """The components that are no volumes and have changed since the backup: secrets, and keys elsewhere."""
    return tuple(name for name in saved.names if not name.startswith("volumes/") and saved.differs(name))

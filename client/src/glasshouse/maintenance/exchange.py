"""How a running stack is exchanged for another version, and back, in each shape."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from glasshouse.errors import StackError, UpgradeError
from glasshouse.maintenance import restore
from glasshouse.maintenance.archive import Archive
from glasshouse.maintenance.services import SETTINGS, Services
from glasshouse.make import make
from glasshouse.screen import Progress
from glasshouse.settings import Settings
from glasshouse.stack.compose import stack as composed
from glasshouse.stack.compose.data import DockerServices
from glasshouse.stack.compose.images import Images, Kept
from glasshouse.stack.endpoint import Front
from glasshouse.stack.native import shutdown
from glasshouse.stack.native import stack as native
from glasshouse.stack.native.data import NativeServices
from glasshouse.stack.native.readiness import not_ready

_POLL_S = 0.5
_NOT_RUNNING = (
    "An upgrade is of a stack that serves, so that it can be seen to serve after it. Start it: make up. Or change the "
    "version without one: git switch --detach VERSION, make up"
)


class Exchange(Protocol):
    """A stack that runs, and is to be another version's."""

    @property
    def services(self) -> Services:
        """Its data."""

    def front(self) -> Front:
        """Where it answers.

        Raises:
            UpgradeError: It does not run.
        """

    def prepare(self) -> None:
        """What the way back needs, before anything changes."""

    def leave(self) -> None:
        """After the other version has been started, and before the code is that of before again."""

    def back(self, checked: Archive) -> tuple[str, ...]:
        """With the code of before: brings back what else was before, and starts it.

        Returns:
            The parts whose data was restored.

        Raises:
            GlasshouseError: It cannot.
        """

    def accept(self) -> str:
        """The other version serves: what is no longer needed goes; a sentence about it."""

    def undo(self) -> None:
        """Nothing has been changed after all."""


@dataclass(slots=True)
class DockerExchange:
    """Compose replaces what differs, container by container. The engine goes on where it is the same."""

    settings: Settings
    services: DockerServices
    _images: tuple[Kept, ...] = ()
    _before: dict[str, str] = field(default_factory=dict)

    def front(self) -> Front:
        """See Exchange."""
        stack = composed.find(self.settings)
        if stack is None or not stack.is_running:
            raise UpgradeError(_NOT_RUNNING)
        return stack.front

    def prepare(self) -> None:
        """See Exchange."""
        self._before = self._containers()
        self._images = self._store.keep(tuple(self._before.values()))

    def leave(self) -> None:
        """See Exchange."""

    def back(self, checked: Archive) -> tuple[str, ...]:
        """See Exchange."""
        new = {service: number for service, number in self._containers().items() if number != self._before.get(service)}
        if new:
            self.services.ask("stop", *new.values())
        # Only what another version's programs may have written to; the rest has newer data, which stays.
        volumes = [
            name for name in checked.contents
            if (key := name.removeprefix("volumes/")) != name and not new.keys().isdisjoint(self.services.writers(key))
        ]  # fmt: skip
        restored = (*volumes, *_changed_secrets(checked, self.services))
        restore.put_back(checked, self.services, restored)
        self._store.put_back(self._images)
        self.services.compose("up", "--detach", "--no-build", "--remove-orphans")
        _wait(self.front(), self.settings.start_timeouts[self.services.kind])
        return restored

    def accept(self) -> str:
        """See Exchange."""
        removed = self._store.accept(self._images, tuple(self._containers().values()))
        kept = f"The images of before are kept, tagged {self.services.docker.project}-previous"
        return f"{kept}; {removed} older ones were removed." if removed else f"{kept}."

    def undo(self) -> None:
        """See Exchange."""
        self._store.forget(self._images)

    @property
    def _store(self) -> Images:
        return Images(self.services.ask, self.services.docker.project)

    def _containers(self) -> dict[str, str]:
        return {one.service: one.number for one in self.services.docker.containers()}


@dataclass(slots=True)
class NativeExchange:
    """Programs are ended and started anew: they run from the code itself."""

    settings: Settings
    services: NativeServices

    def front(self) -> Front:
        """See Exchange."""
        current = native.running(self.settings)
        if current is None:
            raise UpgradeError(_NOT_RUNNING)
        return native.front(current)

    def prepare(self) -> None:
        """See Exchange."""
        shutdown.stop(self.settings)

    def leave(self) -> None:
        """See Exchange."""
        make(self.settings.root, "down", apart=True)

    def back(self, checked: Archive) -> tuple[str, ...]:
        """See Exchange. Prometheus is the machine's own and the same as before, so its data stays."""
        restored = _changed_secrets(checked, self.services)
        restore.put_back(checked, self.services, restored)
        if make(self.settings.root, "up", apart=True, SHAPE="native"):
            raise StackError("The version of before does not start; the lines above say why.")
        return restored

    def accept(self) -> str:
        """See Exchange."""
        return ""

    def undo(self) -> None:
        """See Exchange."""
        make(self.settings.root, "up", apart=True, SHAPE="native")


def of(settings: Settings) -> Exchange:
    """The stack that runs here.

    Raises:
        UpgradeError: None does.
    """
    if native.running(settings) is not None:
        return NativeExchange(settings, NativeServices(settings))
    stack = composed.find(settings)
    if stack is None or not stack.is_running:
        raise UpgradeError(_NOT_RUNNING)
    return DockerExchange(settings, DockerServices(settings, stack.kind))


def _changed_secrets(checked: Archive, found: Services) -> tuple[str, ...]:
    names = [name for name in checked.contents if not name.startswith("volumes/") and name != SETTINGS]
    return tuple(name for name in names if not restore.is_as_saved(checked, found, name))


def _wait(front: Front, timeout: float) -> None:
    with Progress() as progress:
        while (waiting_for := not_ready("the API", front.url, front.certificate)) is not None:
            progress.show(f"waiting for {waiting_for}")
            if progress.seconds > timeout:
                raise StackError(f"Not ready after {timeout:g} s (START_TIMEOUT); still waiting for {waiting_for}")
            time.sleep(_POLL_S)

"""What a stack has that is worth keeping, in whichever shape it is."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from glasshouse.settings import Kind, Settings
from glasshouse.stack import machine, shape
from glasshouse.stack.compose import stack as composed
from glasshouse.stack.compose.data import DockerServices
from glasshouse.stack.data.files import FilesPart, Part
from glasshouse.stack.native import stack as native
from glasshouse.stack.native.data import NativeServices
from glasshouse.system import System

SETTINGS = "settings"
_FILES = (".env", "vllm.env", "compose.override.yaml")
_SHIPPED = {"compose.yaml", shape.CPU_FILE}


class Services(Protocol):
    """The stack of one checkout in one shape."""

    @property
    def kind(self) -> Kind:
        """The shape."""

    @property
    def is_running(self) -> bool:
        """Whether any of it runs."""

    def parts(self) -> tuple[Part, ...]:
        """What it has, beside the files of settings."""

    def part(self, name: str) -> Part | None:
        """Where a part of a backup belongs; None where this shape has no use for it."""

    def has(self, name: str) -> bool:
        """Whether the place of a part is there, or may be."""

    def prepare(self, name: str) -> None:
        """Makes the place of a part.

        Raises:
            GlasshouseError: Docker cannot make it.
        """

    def still(self, name: str) -> AbstractContextManager[None]:
        """While inside, nobody writes to a part; or appends to it at most, where the part `may_change`.

        Raises:
            GlasshouseError: A program cannot be stopped.
        """


def find(settings: Settings) -> Services:
    """The stack that runs here; where none does, the one that has left its data, or would be started.

    Raises:
        GlasshouseError: Docker cannot read the stack's files.
    """
    if native.started(settings) is not None:
        return NativeServices(settings)
    if (stack := composed.find(settings)) is not None:
        return DockerServices(settings, stack.kind)
    if settings.shape != "auto":
        return of_kind(settings, settings.shape)
    chosen = shape.choose(settings, machine.look(System(settings.given))).kind
    if chosen != "native" and NativeServices(settings).has_data:
        in_docker = DockerServices(settings, chosen)
        return in_docker if in_docker.has_data else NativeServices(settings)
    return of_kind(settings, chosen)


def of_kind(settings: Settings, kind: Kind) -> Services:
    """The stack in a shape.

    Raises:
        GlasshouseError: Docker cannot read the stack's files.
    """
    return NativeServices(settings) if kind == "native" else DockerServices(settings, kind)


def settings_part(settings: Settings) -> FilesPart:
    """The files beside the code that are its owner's own, those that COMPOSE_FILE names among them."""
    named = settings.environment.get("COMPOSE_FILE", "")
    separator = settings.environment.get("COMPOSE_PATH_SEPARATOR", ":")
    own = [str(Path(name)) for name in named.split(separator) if name and name not in _SHIPPED]
    inside = [name for name in own if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return FilesPart(SETTINGS, {name: settings.root / name for name in dict.fromkeys((*_FILES, *inside))})

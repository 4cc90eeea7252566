"""The data of a native stack: the secrets, and Prometheus' data in the run directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glasshouse.errors import StackError
from glasshouse.secrets import engine_key, layout
from glasshouse.settings import Settings
from glasshouse.stack.data.base import Component
from glasshouse.stack.data.files import DirectoryComponent, FilesComponent
from glasshouse.stack.native import supervisor

_METRICS = "volumes/prometheus-data"  # as in Docker, so that it can be restored there too
_KEYS = "keys"


@dataclass(frozen=True, slots=True)
class NativeData:
    """See StackData. `is_running` tells whether any process of the stack runs."""

    settings: Settings
    is_running: Callable[[], bool]

    @property
    def has_data(self) -> bool:
        """See StackData: Prometheus has run here."""
        return any(self._metrics.glob("*"))

    def components(self) -> tuple[Component, ...]:
        """See StackData."""
        secrets = [each for each in map(self._secrets, ("secrets", *self._directories())) if each is not None]
        keys = FilesComponent(_KEYS, self._outside())
        metrics = DirectoryComponent(_METRICS, self._metrics)
        return (
            *(each for each in secrets if each.directory.is_dir()),
            *((keys,) if keys.files else ()),
            *((metrics,) if self.has_data else ()),
        )

    def component(self, name: str) -> Component | None:
        """See StackData."""
        if name == _METRICS:
            return DirectoryComponent(_METRICS, self._metrics)
        if name == _KEYS:
            return FilesComponent(_KEYS, self._outside())
        return self._secrets(name)

    def may_exist(self, name: str) -> bool:
        """See StackData."""
        found = self.component(name)
        return not isinstance(found, DirectoryComponent) or found.directory.is_dir()

    def create(self, name: str) -> None:
        """See StackData: a restore makes its directories itself."""

    @contextmanager
    def quiesce(self, name: str) -> Iterator[None]:
        """See StackData."""
        if name != _METRICS or not self.is_running():
            yield
            return
        socket = self.settings.socket
        programs = supervisor.programs(socket)
        if programs is None:
            raise StackError("supervisord has been killed, so that Prometheus cannot be stopped: make down, make up.")
        if not any(program.name == "prometheus" and program.pid for program in programs):
            yield
            return
        supervisor.stop_program(socket, "prometheus")
        try:
            yield
        finally:
            supervisor.start_program(socket, "prometheus")

    @property
    def _metrics(self) -> Path:
        return self.settings.run_dir / "prometheus" / "data"

    def _secrets(self, name: str) -> DirectoryComponent | None:
        if name == "secrets":
            return DirectoryComponent(name, self.settings.secrets_dir, layout.DIRECTORIES)
        if name in self._directories():
            return DirectoryComponent(name, self.settings.secrets_dir / name.removeprefix("secrets/"))
        return None

    def _directories(self) -> tuple[str, ...]:
        return tuple(f"secrets/{directory}" for directory in layout.DIRECTORIES)

    def _outside(self) -> dict[str, Path]:
        """The keys that KEYS_FILE and ENGINE_KEY_FILE put elsewhere."""
        settings = self.settings
        named = {
            "keys.yaml": settings.keys_file,
            "engine-key": settings.engine_key_file,
            "engine-key.next": engine_key.next_file(settings),
        }
        return {name: path for name, path in named.items() if not path.is_relative_to(settings.secrets_dir)}

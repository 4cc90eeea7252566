"""The data of the stack without Docker: the secrets, and Prometheus' data in the run directory."""

import http.client
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]  # supervisor ships no types

from glasshouse import secret_files, secret_layout
from glasshouse.errors import BackupError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.data.files import DirectoryPart, FilesPart, Part
from glasshouse.stack.native import stack as native
from glasshouse.stack.native import supervisor

_METRICS = "volumes/prometheus-data"  # as in Docker, so that it can be restored there too
_KEYS = "keys"


@dataclass(frozen=True, slots=True)
class NativeServices:
    """See services.Services."""

    settings: Settings

    @property
    def kind(self) -> Kind:
        """See services.Services."""
        return "native"

    @property
    def is_running(self) -> bool:
        """See services.Services."""
        return native.started(self.settings) is not None

    @property
    def has_data(self) -> bool:
        """Whether Prometheus has run here."""
        return any(self._metrics.glob("*"))

    def parts(self) -> tuple[Part, ...]:
        """See services.Services."""
        there = [part for part in (self._secrets("secrets"), *map(self._secrets, self._directories())) if part]
        keys = FilesPart(_KEYS, self._outside())
        metrics = DirectoryPart(_METRICS, self._metrics)
        return (
            *(part for part in there if part.directory.is_dir()),
            *((keys,) if keys.files else ()),
            *((metrics,) if self.has_data else ()),
        )

    def part(self, name: str) -> Part | None:
        """See services.Services."""
        if name == _METRICS:
            return DirectoryPart(_METRICS, self._metrics)
        if name == _KEYS:
            return FilesPart(_KEYS, self._outside())
        return self._secrets(name)

    def has(self, name: str) -> bool:
        """See services.Services."""
        part = self.part(name)
        return not isinstance(part, DirectoryPart) or part.directory.is_dir()

    def prepare(self, name: str) -> None:
        """See services.Services: a restore makes its directories itself."""

    @contextmanager
    def still(self, name: str) -> Iterator[None]:
        """See services.Services."""
        if name != _METRICS or not self.is_running:
            yield
            return
        programs = supervisor.programs(self.settings.socket)
        if programs is None:
            raise BackupError("supervisord has been killed, so that Prometheus cannot be stopped: make down, make up.")
        if not any(one.name == "prometheus" and one.pid for one in programs):
            yield
            return
        self._ask("stopProcess")
        try:
            yield
        finally:
            self._ask("startProcess")

    def _ask(self, what: str) -> None:
        transport = SupervisorTransport(None, None, f"unix://{self.settings.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                getattr(proxy.supervisor, what)("prometheus", True)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise BackupError(f"supervisord did not do {what} of Prometheus: {error}.") from error

    @property
    def _metrics(self) -> Path:
        return self.settings.run_dir / "prometheus" / "data"

    def _secrets(self, name: str) -> DirectoryPart | None:
        if name == "secrets":
            return DirectoryPart(name, self.settings.secrets_dir, secret_layout.DIRECTORIES)
        if name in self._directories():
            return DirectoryPart(name, self.settings.secrets_dir / name.removeprefix("secrets/"))
        return None

    def _directories(self) -> tuple[str, ...]:
        return tuple(f"secrets/{directory}" for directory in secret_layout.DIRECTORIES)

    def _outside(self) -> dict[str, Path]:
        """The keys that KEYS_FILE and ENGINE_KEY_FILE have put elsewhere."""
        one = self.settings
        named = {
            "keys.yaml": one.keys_file,
            "engine-key": one.engine_key_file,
            "engine-key.next": secret_files.next_engine_key_file(one),
        }
        return {name: path for name, path in named.items() if not path.is_relative_to(one.secrets_dir)}

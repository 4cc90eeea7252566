"""The data of the stack in Docker: the secrets, and the volumes that Compose's files name."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from glasshouse.errors import ImagesMissing, StackError
from glasshouse.secrets import layout
from glasshouse.settings import Kind, Settings
from glasshouse.signals import uninterrupted
from glasshouse.stack.compose.docker import LABEL, Container, Docker
from glasshouse.stack.compose.volume import OneShotRunner, VolumeComponent
from glasshouse.stack.data.base import Component

# A start makes them again: weights and compiled graphs, and responses to a certificate authority's challenges.
_NOT_SAVED = {"model-cache", "acme-webroot"}
_STORES = "valkey"  # the names of the services that run on while their data is copied begin so
_REWRITE_SETTING = "auto-aof-rewrite-percentage"
_REWRITE_TIMEOUT_S = 60.0


class ComposeData:
    """See StackData."""

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self.settings = settings
        self.kind: Kind = kind
        self.docker = Docker(settings)

    @property
    def has_data(self) -> bool:
        """See StackData: its volumes are there."""
        return bool(self._volumes())

    def components(self) -> tuple[Component, ...]:
        """See StackData."""
        names = [f"volumes/{volume}" for volume in self._volumes()]
        if self.settings.secrets_dir.exists():
            names = ["secrets", *(f"secrets/{name}" for name in layout.DIRECTORIES), *names]
        return tuple(found for name in names if (found := self._component(name)) is not None)

    def component(self, name: str) -> Component | None:
        """See StackData."""
        return self._component(name)

    def may_exist(self, name: str) -> bool:
        """See StackData."""
        kind, _, key = name.partition("/")
        if kind != "secrets":
            return key in self._volumes()
        try:
            return (self.settings.secrets_dir / key).exists()
        except PermissionError:  # only the services' user may look
            return True

    def create(self, name: str) -> None:
        """See StackData."""
        kind, _, key = name.partition("/")
        if kind == "secrets":
            # A mount whose directory is missing Docker would create as root's.
            with suppress(FileExistsError, PermissionError):
                (self.settings.secrets_dir / key).mkdir(mode=0o700, parents=True)
        elif not self.may_exist(name):
            # Compose refuses a volume without its labels.
            labels = {"project": self.docker.project, "volume": key}
            words = [word for label, value in labels.items() for word in ("--label", f"{LABEL}.{label}={value}")]
            self.docker.run("volume", "create", *words, self._named[key])

    @contextmanager
    def quiesce(self, name: str) -> Iterator[None]:
        """See StackData."""
        key = name.removeprefix("volumes/")
        names = self.writers(key) if key != name else ()
        containers = self.docker.containers() if names else ()
        running = [each for each in containers if each.is_running and each.service in names]
        stores = [each for each in running if each.service.startswith(_STORES)]
        if len(stores) == len(running) == 1 and (usual := self._rewrite_percentage(stores[0])) is not None:
            with self._without_rewrites(stores[0], usual):
                yield
            return
        ids = [each.id for each in running]
        try:
            if ids:
                self.docker.run("stop", *ids)
            yield
        finally:
            if ids:
                with uninterrupted():
                    self._start(running)

    def writers(self, volume: str) -> tuple[str, ...]:
        """The services that write to a volume, by its name in Compose's files."""
        return tuple(
            name
            for name, service in self._config["services"].items()
            if name != "init"
            and any(
                mount.get("source") == volume and not mount.get("read_only") for mount in service.get("volumes", ())
            )
        )

    def _component(self, name: str) -> VolumeComponent | None:
        kind, _, key = name.partition("/")
        if kind == "secrets" and key in ("", *layout.DIRECTORIES):
            source, excluded = str(self.settings.secrets_dir / key), () if key else layout.DIRECTORIES
            return VolumeComponent(name, source, self._runner, self._owner, excluded)
        if kind != "volumes" or key not in self._named:
            return None
        is_store = any(service.startswith(_STORES) for service in self.writers(key))
        return VolumeComponent(name, self._named[key], self._runner, self._owner, is_append_only=is_store)

    def _volumes(self) -> tuple[str, ...]:
        """The volumes that exist, by their names in Compose's files."""
        there = set(self.docker.run("volume", "ls", "--quiet").split())
        return tuple(key for key, name in self._named.items() if name in there)

    @cached_property
    def _config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = json.loads(
            self.docker.run_compose(self.docker.files(self.kind), "--profile", "*", "config", "--format", "json")
        )
        return config

    @cached_property
    def _named(self) -> Mapping[str, str]:
        volumes = self._config.get("volumes", {}).items()
        return {key: str(volume["name"]) for key, volume in volumes if key not in _NOT_SAVED}

    @cached_property
    def _owner(self) -> str:
        given = self._config["services"]["init"]["environment"]
        return f"{given['GLASSHOUSE_UID']}:{given['GLASSHOUSE_GID']}"

    @cached_property
    def _runner(self) -> OneShotRunner:
        """Runs the init image, which is built where it is missing."""
        image = str(self._config["services"]["init"]["image"])
        try:
            self.docker.run("image", "inspect", image)
        except StackError:
            if self.docker.compose(self.docker.files(self.kind), "build", "init"):
                raise ImagesMissing("Docker could not build the image of init; the lines above say why.") from None
        return OneShotRunner(self.docker.environment, image)

    def _start(self, containers: Sequence[Container]) -> None:
        try:
            self.docker.run("start", *(container.id for container in containers))
        except StackError as error:
            names = ", ".join(container.service for container in containers)
            print(f"{names} could not be started again ({error}): make up", file=sys.stderr)

    def _rewrite_percentage(self, store: Container) -> str | None:
        """The growth at which a store rewrites its append-only file; None when it does not say, or keeps none."""
        try:
            found = self.docker.run("exec", store.id, "valkey-cli", "config", "get", _REWRITE_SETTING).split()
            has_log = self.docker.run("exec", store.id, "valkey-cli", "config", "get", "appendonly").split()[-1:]
        except StackError:
            return None
        is_known = found[:1] == [_REWRITE_SETTING] and found[-1].isdigit() and has_log == ["yes"]
        return found[-1] if is_known else None

    @contextmanager
    def _without_rewrites(self, store: Container, usual: str) -> Iterator[None]:
        """While inside, the append-only file is not rewritten and can be copied: what the copy lacks came later."""

        def rewrite_from(percentage: str) -> None:
            self.docker.run("exec", store.id, "valkey-cli", "config", "set", _REWRITE_SETTING, percentage)

        try:
            rewrite_from("0")
            deadline = time.monotonic() + _REWRITE_TIMEOUT_S
            busy = ("aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1")
            while any(word in self.docker.run("exec", store.id, "valkey-cli", "info", "persistence") for word in busy):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{store.service} has been rewriting its log for {_REWRITE_TIMEOUT_S:g} s: try later."
                    )
                time.sleep(0.2)
            yield
        finally:
            with uninterrupted():
                rewrite_from(usual)

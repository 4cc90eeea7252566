"""The data of a stack in Docker: the secrets, and the volumes that Compose's files name."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from glasshouse import secret_layout
from glasshouse.errors import BackupError, ImagesMissing
from glasshouse.settings import Kind, Settings
from glasshouse.signals import uninterrupted
from glasshouse.stack.compose.docker import Container, Docker, environment
from glasshouse.stack.compose.one_shot import MountedPart, OneShot
from glasshouse.stack.data.files import Part

_ANSWER_S = 900.0  # containers may take their whole grace to stop, and wait for one another to start
_SAID = 400  # of what docker complains: its last words tell most
_LABEL = "com.docker.compose"
# A start makes them again: weights and compiled graphs, and answers to a certificate authority's questions.
_NOT_KEPT = {"model-cache", "acme-webroot"}
_STORES = "valkey"  # what the names of the services begin with whose data is copied while they run
_REWRITES = "auto-aof-rewrite-percentage"
_REWRITE_S = 60.0


class DockerServices:
    """See services.Services."""

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self.settings = settings
        self.kind: Kind = kind
        self.docker = Docker(settings)
        self._environment = environment(settings)

    @property
    def is_running(self) -> bool:
        """See services.Services."""
        return any(one.is_running for one in self.docker.containers())

    @property
    def has_data(self) -> bool:
        """Whether it has run here: its volumes are there."""
        return bool(self._volumes())

    def parts(self) -> tuple[Part, ...]:
        """See services.Services."""
        names = [f"volumes/{volume}" for volume in self._volumes()]
        if self.settings.secrets_dir.exists():
            names = ["secrets", *(f"secrets/{name}" for name in secret_layout.DIRECTORIES), *names]
        return tuple(part for part in map(self._part, names) if part is not None)

    def part(self, name: str) -> Part | None:
        """See services.Services."""
        return self._part(name)

    def has(self, name: str) -> bool:
        """See services.Services."""
        kind, _, key = name.partition("/")
        if kind != "secrets":
            return key in self._volumes()
        try:
            return (self.settings.secrets_dir / key).exists()
        except PermissionError:  # the services' user's, and not ours to look into
            return True

    def prepare(self, name: str) -> None:
        """See services.Services."""
        kind, _, key = name.partition("/")
        if kind == "secrets":
            # What is mounted and not there, Docker would make as root's.
            with suppress(FileExistsError, PermissionError):
                (self.settings.secrets_dir / key).mkdir(mode=0o700, parents=True)
        elif not self.has(name):
            # With Compose's labels, or it would take the volume for somebody else's.
            labels = {"project": self.docker.project, "volume": key}
            words = [word for label, value in labels.items() for word in ("--label", f"{_LABEL}.{label}={value}")]
            self.ask("volume", "create", *words, self._named[key])

    @contextmanager
    def still(self, name: str) -> Iterator[None]:
        """See services.Services."""
        key = name.removeprefix("volumes/")
        names = self.writers(key) if key != name else ()
        containers = self.docker.containers() if names else ()
        running = [one for one in containers if one.is_running and one.service in names]
        stores = [one for one in running if one.service.startswith(_STORES)]
        if len(stores) == len(running) == 1 and (usual := self._rewrites(stores[0])) is not None:
            with self._without_rewrites(stores[0], usual):
                yield
            return
        numbers = [one.number for one in running]
        try:
            if numbers:
                self.ask("stop", *numbers)
            yield
        finally:
            if numbers:
                with uninterrupted():
                    self._start(running)

    def writers(self, volume: str) -> tuple[str, ...]:
        """The services that write to a volume, by its name in Compose's files."""
        return tuple(
            name
            for name, service in self._config["services"].items()
            if name != "init"
            and any(one.get("source") == volume and not one.get("read_only") for one in service.get("volumes", ()))
        )

    def compose(self, *arguments: str) -> str:
        """What Compose answers for this stack, in its shape.

        Raises:
            BackupError: It refuses; the text says what it said.
        """
        files = [word for file in self.docker.files(self.kind) for word in ("--file", str(file))]
        place = ["--project-name", self.docker.project, "--project-directory", str(self.settings.root)]
        return self.ask("compose", *place, *files, *arguments)

    def ask(self, *arguments: str) -> str:
        """What docker answers.

        Raises:
            BackupError: It refuses, or does not answer; the text says what it said.
        """
        program = shutil.which("docker", path=self._environment.get("PATH")) or "docker"
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and names that Compose and the settings gave
                [program, *arguments],
                cwd=self.settings.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ANSWER_S,
                check=False,
                start_new_session=True,  # Ctrl-C is ours to answer
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackupError(f"docker {arguments[0]}: {error}.") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-_SAID:] or "it does not say why"
            raise BackupError(f"docker {arguments[0]}: {said.rstrip('.')}.")
        return done.stdout

    def _part(self, name: str) -> MountedPart | None:
        kind, _, key = name.partition("/")
        if kind == "secrets" and key in ("", *secret_layout.DIRECTORIES):
            source, excluded = str(self.settings.secrets_dir / key), () if key else secret_layout.DIRECTORIES
            return MountedPart(name, source, self._container, self._owner, excluded)
        if kind != "volumes" or key not in self._named:
            return None
        is_store = any(service.startswith(_STORES) for service in self.writers(key))
        return MountedPart(name, self._named[key], self._container, self._owner, may_change=is_store)

    def _volumes(self) -> tuple[str, ...]:
        """Those that are there, by their names in Compose's files."""
        there = set(self.ask("volume", "ls", "--quiet").split())
        return tuple(key for key, name in self._named.items() if name in there)

    @cached_property
    def _config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = json.loads(self.compose("--profile", "*", "config", "--format", "json"))
        return config

    @cached_property
    def _named(self) -> Mapping[str, str]:
        volumes = self._config.get("volumes", {}).items()
        return {key: str(volume["name"]) for key, volume in volumes if key not in _NOT_KEPT}

    @cached_property
    def _owner(self) -> str:
        given = self._config["services"]["init"]["environment"]
        return f"{given['GLASSHOUSE_UID']}:{given['GLASSHOUSE_GID']}"

    @cached_property
    def _container(self) -> OneShot:
        """Containers of the init image, which is built where it is not there."""
        image = str(self._config["services"]["init"]["image"])
        try:
            self.ask("image", "inspect", image)
        except BackupError:
            if self.docker.compose(self.docker.files(self.kind), "build", "init"):
                raise ImagesMissing("Docker could not build the image of init; the lines above say why.") from None
        return OneShot(self._environment, image)

    def _start(self, containers: Sequence[Container]) -> None:
        try:
            self.ask("start", *(one.number for one in containers))
        except BackupError as error:
            names = ", ".join(one.service for one in containers)
            print(f"{names} could not be started again ({error}): make up", file=sys.stderr)

    def _rewrites(self, store: Container) -> str | None:
        """From what growth on a store rewrites its log; None when it does not tell, or keeps no log."""
        try:
            found = self.ask("exec", store.number, "valkey-cli", "config", "get", _REWRITES).split()
            keeps_log = self.ask("exec", store.number, "valkey-cli", "config", "get", "appendonly").split()[-1:]
        except BackupError:
            return None
        is_told = found[:1] == [_REWRITES] and found[-1].isdigit() and keeps_log == ["yes"]
        return found[-1] if is_told else None

    @contextmanager
    def _without_rewrites(self, store: Container, usual: str) -> Iterator[None]:
        """A log that is only appended to can be copied while it is: what the end of the copy lacks, came later."""

        def rewrite_from(percentage: str) -> None:
            self.ask("exec", store.number, "valkey-cli", "config", "set", _REWRITES, percentage)

        try:
            rewrite_from("0")
            deadline = time.monotonic() + _REWRITE_S
            busy = ("aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1")
            while any(word in self.ask("exec", store.number, "valkey-cli", "info", "persistence") for word in busy):
                if time.monotonic() > deadline:
                    raise BackupError(f"{store.service} has been rewriting its log for {_REWRITE_S:g} s: try later.")
                time.sleep(0.2)
            yield
        finally:
            with uninterrupted():
                rewrite_from(usual)

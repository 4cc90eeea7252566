"""The stack in Docker: Compose starts and ends it; what it left is found by its project's name and directory."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from glasshouse.console import duration, table
from glasshouse.errors import GlasshouseError, StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.base import STARTING_ELSEWHERE, ServiceStatus
from glasshouse.stack.compose import preflight, readiness
from glasshouse.stack.compose import start as starting
from glasshouse.stack.compose.data import ComposeData
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.compose.endpoint import endpoint_of
from glasshouse.stack.compose.rig import ComposeRig
from glasshouse.stack.compose.rollout import ComposeRollout
from glasshouse.stack.endpoint import Endpoint
from glasshouse.stack.ports import Port
from glasshouse.stack.shape import NAMES, Shape

_ALL_PROFILES = ("--profile", "*")  # a service of a profile that is off now may have been started with it
_NATIVE_NAMES = {"gateway": "api"}


class ComposeStack:
    """See Stack. Its containers are those that Docker had when it was first asked.

    Args:
        settings: of the checkout.
        kind: its shape; None for the one in which it was started.
    """

    def __init__(self, settings: Settings, kind: Kind | None = None) -> None:
        self.settings = settings
        self.docker = Docker(settings)
        self._kind = kind

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """This checkout's containers, ended ones too; another checkout may have the same project name."""
        here = self.settings.root.resolve()
        return tuple(each for each in self.docker.containers() if each.working_dir.resolve() == here)

    @property
    def kind(self) -> Kind:
        """See Stack."""
        if self._kind is not None:
            return self._kind
        return "gpu" if any(container.service == "vllm" for container in self.containers) else "cpu"

    @property
    def exists(self) -> bool:
        """See Stack."""
        return bool(self.containers)

    @property
    def is_running(self) -> bool:
        """See Stack."""
        return any(container.is_running for container in self.containers)

    @property
    def is_supervised(self) -> bool:
        """See Stack: Docker restarts what ends, as long as anything runs."""
        return self.is_running

    @property
    def endpoint(self) -> Endpoint:
        """See Stack."""
        return endpoint_of(self.settings, self.containers)

    @property
    def services(self) -> Sequence[ServiceStatus]:
        """See Stack."""
        return [readiness.status_of(container) for container in self.containers]

    @property
    def engine_start_times(self) -> Mapping[str, float]:
        """See Stack."""
        return {
            container.service: time.time() - readiness.uptime_s(container.started_at)
            for container in self.containers
            if container.is_running and container.service in readiness.ENGINES
        }

    @cached_property
    def data(self) -> ComposeData:
        """See Stack."""
        return ComposeData(self.settings, self.kind)

    @property
    def data_users(self) -> Sequence[Path]:
        """See Stack: volumes are named after the project, which two checkouts may share."""
        return [container.working_dir for container in self.docker.containers() if container.is_running]

    def ports(self, shape: Shape | None) -> tuple[Port, ...]:  # noqa: ARG002 - nginx publishes the same in each
        """See Stack."""
        return preflight.published_ports(self.settings)

    def start(self, shape: Shape, *, attach: bool) -> None:
        """See Stack.

        Raises:
            ImagesMissing: Docker can neither fetch nor build an image; nothing was started.
            GlasshouseError: It could not start; everything that had been started is stopped again.
            KeyboardInterrupt: Ctrl-C came meanwhile; likewise.
        """
        preflight.check(self.settings, self.docker, shape.kind)
        files = self.docker.files(shape.kind)
        starting.get_images(self.docker, files, "Nothing had been started.")
        try:
            starting.apply(self.settings, self.docker, shape.kind, shape.reason, files)
            if attach:
                ComposeStack(self.settings).follow()
        except BaseException:
            # Whatever it was, Ctrl-C included: nothing that was started goes on.
            ComposeStack(self.settings).stop_and_report()
            raise
        if attach:
            ComposeStack(self.settings).stop_and_report()

    def require_started(self) -> None:
        """See Stack: two Composes must not change the same containers.

        Raises:
            StackError: Always; whether the other one is done cannot be seen.
        """
        raise StackError(STARTING_ELSEWHERE)

    def reapply(self, *, attach: bool) -> None:
        """See Stack: replaces the containers whose image or settings have changed, and touches no other.

        Raises:
            ImagesMissing: Docker can neither fetch nor build an image; all runs on as it was.
            StackError: It does not get ready; what runs is left running.
        """
        print(f"Glasshouse is running already: {NAMES[self.kind]}. What has changed since is replaced.", flush=True)
        preflight.check_mounts(self.settings, self.kind)
        files = self.docker.files(self.kind)
        starting.get_images(self.docker, files, "Glasshouse runs on as it was.")
        starting.apply(self.settings, self.docker, self.kind, "as it was running already", files)
        if attach:
            try:
                self.follow()
            finally:
                self.stop_and_report()

    def follow(self) -> None:
        """Shows the logs until everything has ended, or Ctrl-C."""
        if self.exists:
            print("\nThe logs follow; Ctrl-C ends everything.\n", flush=True)
            self._compose("logs", "--follow", "--tail", "20")

    def print_status(self) -> None:
        """See Stack."""
        uptimes = ["-" if each.uptime_s is None else duration(each.uptime_s) for each in self.services]
        rows = [(each.name, each.state, uptime) for each, uptime in zip(self.services, uptimes, strict=True)]
        print(
            f"{table([('SERVICE', 'STATE', 'UP FOR'), *rows], indent='', header=True)}\n\n{self.endpoint.public_url}/v1"
        )

    def logs(self, service: str | None, lines: int, *, follow: bool) -> None:
        """See Stack."""
        name = _NATIVE_NAMES.get(service or "", service)
        known = [container.service for container in self.containers]
        if name is not None and name not in known:
            raise StackError(f"There is no log of {service!r}. There are: {', '.join(known)}.")
        with suppress(KeyboardInterrupt):  # the usual end of following
            self._compose(
                *(*_ALL_PROFILES, "logs", "--tail", str(lines)),
                *(("--follow",) if follow else ()),
                *((name,) if name else ()),
            )

    def down(self) -> bool:
        """See Stack: containers and networks are removed; secrets and volumes stay."""
        if not self.exists:
            return False
        if self._compose(*_ALL_PROFILES, "down", "--remove-orphans"):
            raise StackError("Docker could not end everything; the lines above say why.")
        names = ", ".join(container.service for container in self.containers if container.is_running)
        print(f"Stopped {names or 'what was left of it'}; no container is left. Secrets and volumes stay.")
        return True

    def stop_and_report(self) -> None:
        """Stops its containers and says so; they stay for their logs' sake, until the next start or `down`."""
        if not self.is_running:
            print("Nothing was left running.", flush=True)
            return
        print("\nStopping what was started …", flush=True)
        try:
            try:
                status = self._compose(*_ALL_PROFILES, "stop")
            except KeyboardInterrupt:  # a second one: no more patience
                status = self._compose(*_ALL_PROFILES, "kill")
        except GlasshouseError as error:
            print(error, file=sys.stderr)
            return
        print("Docker could not stop everything: make down" if status else "Stopped; nothing of it runs.", flush=True)

    def restart_command(self, services: Sequence[str]) -> str:
        """See Stack."""
        return f"docker compose restart {' '.join(services)}"

    def rig(self) -> ComposeRig:
        """See Stack.

        Raises:
            StackError: Its Grafana does not run.
        """
        if not any(container.service == "grafana" and container.is_running for container in self.containers):
            raise StackError(
                "Grafana, which evaluates and delivers the alerts, does not run. Why: make logs SERVICE=grafana"
            )
        return ComposeRig(self.settings, self.docker, self.containers, self._files, self.endpoint)

    def rollout(self) -> ComposeRollout:
        """See Stack."""
        return ComposeRollout(self.settings, self.data)

    def _compose(self, *arguments: str) -> int:
        """Runs Compose with the files that the stack was started from."""
        return self.docker.compose(self._files, *arguments)

    @property
    def _files(self) -> tuple[Path, ...]:
        files = self.containers[0].config_files
        return files if files and all(file.is_file() for file in files) else self.docker.files(self.kind)

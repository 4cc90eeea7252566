"""How a stack in Docker is replaced by another version: Compose replaces the containers that differ, and no engine."""

import time

from glasshouse.console import Progress
from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack.base import SavedData, changed_secrets
from glasshouse.stack.compose.data import ComposeData
from glasshouse.stack.compose.endpoint import endpoint_of
from glasshouse.stack.compose.images import Images, KeptImage
from glasshouse.stack.endpoint import Endpoint, why_not_ready

_POLL_S = 0.5


class ComposeRollout:
    """See Rollout."""

    def __init__(self, settings: Settings, data: ComposeData) -> None:
        self._settings = settings
        self._data = data
        self._docker = data.docker
        self._images = Images(self._docker.run, self._docker.project)
        self._kept: tuple[KeptImage, ...] = ()
        self._old: dict[str, str] = {}

    def prepare(self) -> None:
        """See Rollout."""
        self._old = self._container_ids()
        self._kept = self._images.keep(tuple(self._old.values()))

    def stop_new(self) -> None:
        """See Rollout: `roll_back` replaces the new containers one by one."""

    def roll_back(self, saved: SavedData) -> tuple[str, ...]:
        """See Rollout."""
        new = {service: number for service, number in self._container_ids().items() if number != self._old.get(service)}
        if new:
            self._docker.run("stop", *new.values())
        # Only what the new version's programs may have written to; the rest has newer data, which stays.
        volumes = [
            name
            for name in saved.names
            if (key := name.removeprefix("volumes/")) != name and not new.keys().isdisjoint(self._data.writers(key))
        ]
        restored = (*volumes, *changed_secrets(saved))
        saved.restore(restored)
        self._images.put_back(self._kept)
        files = self._docker.files(self._data.kind)
        self._docker.run_compose(files, "up", "--detach", "--no-build", "--remove-orphans")
        endpoint = endpoint_of(self._settings, self._docker.containers())
        _wait(endpoint, self._settings.start_timeouts[self._data.kind])
        return restored

    def complete(self) -> str:
        """See Rollout."""
        removed = self._images.complete(self._kept, tuple(self._container_ids().values()))
        kept = f"The previous images are kept, tagged {self._docker.project}-previous"
        return f"{kept}; {removed} older ones were removed." if removed else f"{kept}."

    def cancel(self) -> None:
        """See Rollout."""
        self._images.forget(self._kept)

    def _container_ids(self) -> dict[str, str]:
        return {container.service: container.id for container in self._docker.containers()}


def _wait(endpoint: Endpoint, timeout_s: float) -> None:
    with Progress() as progress:
        while (pending := why_not_ready("the API", endpoint.url, endpoint.certificate)) is not None:
            progress.show(f"waiting for {pending}")
            if progress.seconds > timeout_s:
                raise StackError(f"Not ready after {timeout_s:g} s (START_TIMEOUT); still waiting for {pending}")
            time.sleep(_POLL_S)

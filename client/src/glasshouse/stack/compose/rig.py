"""What a drill needs of the stack in Docker: its services, and those of the profile `drill`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.endpoint import Endpoint
from glasshouse.stack.rig import DIRECTORY, GrafanaAccess, ScrapeTarget, StandIns

SERVICES = ("drill", "drill-engine", "drill-gateway")
_PROFILE = ("--profile", "drill")
# As in Prometheus' configuration (observability/src/observability/scrape.py).
_PARTS = {
    "node-exporter": ScrapeTarget("node-exporter", "node-exporter:9100"),
    "vllm": ScrapeTarget("vllm", "vllm:8001"),
    "llamacpp": ScrapeTarget("llamacpp", "llamacpp:8002"),
}
_STAND_INS = StandIns(
    pages="drill:9400",
    tls="drill:8443",
    gateway="drill-gateway:8000",
    gateway_metrics="drill-gateway:9091",
    blackbox="blackbox:9115",
)


class ComposeRig:
    """See Rig.

    Args:
        settings: of the checkout.
        docker: of its project.
        containers: those that run.
        files: Compose's files from which they were started.
        endpoint: where they answer.
    """

    def __init__(
        self,
        settings: Settings,
        docker: Docker,
        containers: Sequence[Container],
        files: Sequence[Path],
        endpoint: Endpoint,
    ) -> None:
        self._settings, self._docker, self._files, self._endpoint = settings, docker, files, endpoint
        self._running = {each.service for each in containers if each.is_running}

    @property
    def directory(self) -> Path:
        """See Rig: below what Prometheus mounts."""
        return self._settings.root / DIRECTORY

    @property
    def stand_ins(self) -> StandIns:
        """See Rig."""
        return _STAND_INS

    @property
    def grafana(self) -> GrafanaAccess:
        """See Rig."""
        return GrafanaAccess(self._endpoint.url, self._endpoint.certificate, self._settings.grafana_password_file)

    @property
    def parts(self) -> Mapping[str, ScrapeTarget]:
        """See Rig."""
        return {name: target for name, target in _PARTS.items() if name in self._running}

    def stop(self, part: str) -> None:
        """See Rig."""
        self._docker.run_compose(self._files, "stop", part)

    def start(self, part: str) -> None:
        """See Rig."""
        # `start` has no effect on a container that a stop, of a drill that was interrupted, has yet to end.
        self._docker.run_compose(self._files, "restart", "--no-deps", part)

    def start_stand_ins(self) -> None:
        """See Rig."""
        # Without --no-deps Compose would apply to `init` what has changed in the settings.
        up = ("up", "--detach", "--no-build", "--no-deps", "--force-recreate")
        try:
            self._docker.run_compose(self._files, *_PROFILE, *up, *SERVICES)
        except StackError as error:
            raise StackError(f"{error} The drill uses the images of the stack: make up builds them.") from error

    def remove_stand_ins(self) -> None:
        """See Rig."""
        self._docker.run_compose(self._files, *_PROFILE, "rm", "--stop", "--force", *SERVICES)

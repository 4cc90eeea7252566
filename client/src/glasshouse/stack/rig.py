"""What a drill needs of a stack: parts that it may stop, and places for its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DIRECTORY = Path("prometheus/drill")  # in the checkout; Prometheus and the stand-ins mount it


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """A target as Prometheus' configuration has it: its `job`, and its address, which is also its `instance`."""

    job: str
    address: str


@dataclass(frozen=True, slots=True)
class StandIns:
    """Where the drill's own parts listen: host:port, as Prometheus, the blackbox exporter and each other reach them.

    Attributes:
        pages: metrics pages.
        tls: the probed endpoint.
        gateway: the API of the drill's gateway.
        gateway_metrics: its metrics.
        blackbox: the stack's blackbox exporter.
    """

    pages: str
    tls: str
    gateway: str
    gateway_metrics: str
    blackbox: str


@dataclass(frozen=True, slots=True)
class GrafanaAccess:
    """Where Grafana answers, and as whom.

    Attributes:
        url: the stack's, without /grafana.
        certificate: the one to trust; None trusts what the system trusts.
        password_file: holds the password of the user admin.
    """

    url: str
    certificate: Path | None
    password_file: Path


class Rig(Protocol):
    """A running stack, as far as a drill changes it."""

    @property
    def directory(self) -> Path:
        """What the drill writes here, Prometheus reads as targets and the stand-ins serve."""

    @property
    def stand_ins(self) -> StandIns:
        """The drill's own parts."""

    @property
    def grafana(self) -> GrafanaAccess:
        """The stack's Grafana."""

    @property
    def parts(self) -> Mapping[str, ScrapeTarget]:
        """The running services that may be stopped, by their name: node-exporter, and the engines."""

    def stop(self, part: str) -> None:
        """Stops a service, which lets running requests finish.

        Raises:
            StackError: It cannot be stopped.
        """

    def start(self, part: str) -> None:
        """Starts a service that was stopped.

        Raises:
            StackError: It cannot be started.
        """

    def start_stand_ins(self) -> None:
        """Starts the drill's own parts.

        Raises:
            StackError: One does not start.
        """

    def remove_stand_ins(self) -> None:
        """Ends the drill's own parts; nothing happens where there is none.

        Raises:
            StackError: One does not end.
        """

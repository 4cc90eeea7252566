"""What the port shows: the GPUs of this machine, or a recording (`replay`)."""

from typing import Protocol

from gpu_exporter import exposition
from gpu_exporter.watch import Watch


class Page(Protocol):
    """What the port shows; from any thread."""

    def text(self) -> str:
        """The metrics now, in Prometheus' text format."""

    def sick(self) -> str | None:
        """Why this container should be made anew, if it should; at once."""


class Live:
    """The page of the GPUs that are watched."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def text(self) -> str:
        """See `Page`."""
        return exposition.render(self._watch.now())

    def sick(self) -> str | None:
        """See `Page`; this asks for a new snapshot, so that it is found out when nobody scrapes too."""
        report = self._watch.known()
        return None if report is None else report.sick

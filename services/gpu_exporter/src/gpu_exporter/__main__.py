"""`python -m gpu_exporter`: read the settings, open the port, answer until a signal comes."""

import contextlib
import signal
import sys
import threading

from gpu_exporter.catalogue import TABLE
from gpu_exporter.collection import Collection
from gpu_exporter.errors import ConfigurationError
from gpu_exporter.page import Live
from gpu_exporter.replay import Replay
from gpu_exporter.report import Reporter
from gpu_exporter.server import served
from gpu_exporter.settings import Settings
from gpu_exporter.watch import Watch

_EXIT_CONFIGURATION = 2


def main(arguments: list[str]) -> int:
    """Run until a signal; gives the exit code: 0 after a stop, 2 when a setting cannot work."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.read(arguments)
        with contextlib.ExitStack() as running:
            if settings.replay is None:
                collection = Collection(TABLE, settings.hostname, _tell, settings.timeout)
                watch = Watch(collection, Reporter(settings.expected, _tell), settings.timeout)
                running.enter_context(served(Live(watch), settings.host, settings.port))
                running.enter_context(watch.running())
            else:
                running.enter_context(served(Replay.read(settings.replay), settings.host, settings.port))
                _tell(f"REPLAY of {settings.replay}: these values were recorded, no GPU is read")
            stop.wait()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- one sentence for the operator
        return _EXIT_CONFIGURATION
    return 0


def _tell(line: str) -> None:
    print(f"gpu-exporter: {line}", flush=True)  # noqa: T201 -- the log of a container is its output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

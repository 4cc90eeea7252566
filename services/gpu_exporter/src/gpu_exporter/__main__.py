"""`python -m gpu_exporter`: read the settings, open the port, answer until a signal comes."""

import signal
import sys
import threading

from gpu_exporter.catalogue import TABLE
from gpu_exporter.collection import Collection
from gpu_exporter.errors import ConfigurationError
from gpu_exporter.nvml import Nvml
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
        collection = Collection(Nvml(), TABLE, settings.hostname, _tell)
        watch = Watch(collection, Reporter(settings.expected, _tell), settings.timeout)
        with served(watch, settings.host, settings.port), watch.running():
            stop.wait()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- one sentence for the operator
        return _EXIT_CONFIGURATION
    return 0


def _tell(line: str) -> None:
    print(f"gpu-exporter: {line}", flush=True)  # noqa: T201 -- the log of a container is its output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

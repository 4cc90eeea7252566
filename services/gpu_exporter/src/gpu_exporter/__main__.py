"""`python -m gpu_exporter`: read the settings, open the port, serve until a signal."""

import contextlib
import signal
import sys
import threading

from gpu_exporter.collectors import COLLECTORS
from gpu_exporter.endpoints import live_routes, replay_routes
from gpu_exporter.gpu_collector import GpuCollector
from gpu_exporter.logs import log
from gpu_exporter.replay import Replay
from gpu_exporter.report import Reporter
from gpu_exporter.settings import Settings
from gpu_exporter.snapshot_worker import SnapshotWorker
from launcher import program
from launcher.http_server import Routes, serve


def main(arguments: list[str]) -> int:
    """Run until a signal and give the exit code, see `launcher.program.run`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return program.run(lambda: _serve(arguments, stop))


def _serve(arguments: list[str], stop: threading.Event) -> None:
    settings = Settings.read(arguments)
    with contextlib.ExitStack() as stack:
        if settings.replay is None:
            source = GpuCollector(COLLECTORS, settings.hostname, log, settings.timeout)
            worker = SnapshotWorker(source, Reporter(settings.expected, log), settings.timeout)
            stack.enter_context(_port(live_routes(worker), settings))
            stack.enter_context(worker.running())
        else:
            stack.enter_context(_port(replay_routes(Replay.read(settings.replay)), settings))
            log(f"REPLAY of {settings.replay}: these values were recorded, no GPU is read")
        stop.wait()


def _port(routes: Routes, settings: Settings) -> contextlib.AbstractContextManager[int]:
    name = f"GPU_EXPORTER_HOST={settings.host} with GPU_EXPORTER_PORT={settings.port}"
    return serve(routes, settings.host, settings.port, name=name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

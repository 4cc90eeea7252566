"""`python -m llamacpp_server`: read the settings, open the status port, keep llama.cpp running."""

import sys

from engine_status.errors import ConfigurationError
from engine_status.open_files import allow_open_files
from engine_status.pause import GrowingPause
from engine_status.server import StatusServer
from engine_status.status import Status
from engine_status.supervisor import Supervisor
from llamacpp_server.launch import LlamaCpp
from llamacpp_server.settings import Settings

_EXIT_CONFIGURATION = 2


def main(arguments: list[str]) -> int:
    """Run until a signal; gives the exit code: 0 after a stop, 2 when a setting or file cannot work."""
    try:
        settings = Settings.read(arguments)
        engine = LlamaCpp(settings)
        engine.check()
        if too_few := allow_open_files():
            print(f"launcher: {too_few}", flush=True)  # noqa: T201 -- beside the engine's log
        status = Status(engine.model())
        with StatusServer(status, settings.status_host, settings.status_port):
            Supervisor(engine, status, GrowingPause()).run()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- one sentence for the operator
        return _EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

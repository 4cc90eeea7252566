"""`python -m llamacpp_server`: read the settings, open the status port, keep llama.cpp running."""

import sys

from launcher.backoff import Backoff
from launcher.errors import ConfigurationError
from launcher.open_files import raise_open_files_limit
from launcher.status import Status
from launcher.status_server import StatusServer
from launcher.supervisor import Supervisor
from llamacpp_server.launch import LlamaCpp
from llamacpp_server.settings import Settings

_EXIT_CONFIGURATION = 2


def main(arguments: list[str]) -> int:
    """Run until a signal; gives the exit code: 0 after a stop, 2 when a setting or file cannot work."""
    try:
        settings = Settings.read(arguments)
        engine = LlamaCpp(settings)
        engine.check()
        if warning := raise_open_files_limit():
            print(f"launcher: {warning}", flush=True)  # noqa: T201 -- beside the engine's log
        status = Status(engine.model())
        with StatusServer(status, settings.status_host, settings.status_port):
            Supervisor(engine, status, Backoff()).run()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- one sentence for the operator
        return _EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

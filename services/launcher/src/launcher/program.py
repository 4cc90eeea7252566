"""What the `__main__` modules of the services share: exit codes, and supervising an engine behind a status port."""

import sys
from collections.abc import Callable

from launcher import status_port
from launcher.backoff import Backoff
from launcher.errors import ConfigurationError
from launcher.http_server import serve
from launcher.open_files import raise_open_files_limit
from launcher.status import Status
from launcher.supervisor import Engine, Supervisor

EXIT_OK = 0
EXIT_CONFIGURATION = 2


def run(main: Callable[[], None]) -> int:
    """Run a service and give its exit code: 0 after a stop, 2 when a setting or file cannot work."""
    try:
        main()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- one sentence for the operator
        return EXIT_CONFIGURATION
    return EXIT_OK


def supervise(engine: Engine, host: str, port: int) -> None:
    """Keep an engine running until a signal, with its status at this address.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    if warning := raise_open_files_limit():
        print(f"launcher: {warning}", flush=True)  # noqa: T201 -- beside the engine's log
    status = Status(engine.model())
    with serve(status_port.routes(status), host, port, name=f"The status port {host}:{port}"):
        Supervisor(engine, status, Backoff()).run()

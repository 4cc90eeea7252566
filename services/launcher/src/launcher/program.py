"""What the `__main__` modules of the services share: running until a stop, and the exit codes."""

import sys
from collections.abc import Callable

from launcher.errors import ConfigurationError

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

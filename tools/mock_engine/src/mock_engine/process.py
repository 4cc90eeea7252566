"""The mock engine as a process of its own: how to start it, and how to tell that it is ready."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STOP_TIMEOUT_S = 5.0
_READY = re.compile(r"^mock engine ready on http://[^:\s]+:(\d+)$", re.MULTILINE)


def command(*options: str) -> list[str]:
    """Return the command line that starts a mock engine with these options, on a free port unless they name one."""
    return [sys.executable, "-m", "mock_engine", "--port", "0", *options]


def ready_port(output: str) -> int | None:
    """Return the port that a mock engine has printed once it is ready; None before."""
    found = _READY.search(output)
    return None if found is None else int(found[1])


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a mock engine as a child; yields the process and its port once it is ready.

    Raises:
        RuntimeError: it ended without becoming ready.
    """
    with subprocess.Popen(command(*options), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - a test's own options
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            port = ready_port(line)
            if port is None:
                raise RuntimeError(f"the mock engine is not ready, but says {line!r}")
            yield process, port
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)

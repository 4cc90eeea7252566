"""Clears the place before a program starts again: `python -m glasshouse.stack.native.reap_orphans PROGRAM ARGUMENT…`.

When the head of a program with workers is killed (out of memory, say), its workers live on and hold port and files, so
that no new head can start; supervisord knows only the head. Each supervised program leads a process group of its own:
what is in supervisord's session in a group without a leader is such a rest. It is ended, then this process becomes the
program.
"""

import os
import signal
import sys
import time
from pathlib import Path

from glasshouse.stack.native import processes

_GRACE_S = 5.0
_POLL_S = 0.05


def main(arguments: list[str]) -> None:
    """Ends what is left of crashed programs and replaces itself with the program; ends with 127 if it cannot be run."""
    session, directory = os.getsid(0), Path.cwd()
    rest = leaderless(session, directory)
    if rest:
        print("ending what a crashed program left: " + ", ".join(str(one.pid) for one in rest), flush=True)
        processes.end(rest, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while leaderless(session, directory) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        processes.end(leaderless(session, directory), signal.SIGKILL)
    try:
        os.execvp(arguments[0], arguments)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"{arguments[0]} cannot be run: {error.strerror}", file=sys.stderr)
        raise SystemExit(127) from None


def leaderless(session: int, directory: Path) -> tuple[processes.Process, ...]:
    """The processes of `session`, but this one, whose process group has lost its leader."""
    members = processes.in_session(session, directory)
    return tuple(
        one
        for one in members
        if one.session == session and one.pid != os.getpid() and processes.find(one.group) is None
    )


if __name__ == "__main__":
    main(sys.argv[1:])

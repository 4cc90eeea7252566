"""Ends what a crashed program left, then becomes it: `python -m glasshouse.stack.native.reap_orphans PROGRAM …`.

When the head of a program with workers is killed (out of memory, say), its workers live on and hold ports and files, so
that no new head can start; supervisord knows only the head. Each supervised program leads a process group of its own: a
member of supervisord's session whose group has no leader is such an orphan.
"""

import os
import signal
import sys
import time
from pathlib import Path

import psutil

from glasshouse.stack import processes

_GRACE_S = 5.0
_POLL_S = 0.05


def main(arguments: list[str]) -> None:
    """Ends the orphans and replaces itself with the program; ends with status 127 if that cannot be run."""
    session, directory = os.getsid(0), Path.cwd()
    if found := orphans(session, directory):
        print("ending what a crashed program left: " + ", ".join(str(each.pid) for each in found), flush=True)
        processes.send(found, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while orphans(session, directory) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        processes.send(orphans(session, directory), signal.SIGKILL)
    try:
        os.execvp(arguments[0], arguments)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"{arguments[0]} cannot be run: {error.strerror}", file=sys.stderr)
        raise SystemExit(127) from None


def orphans(session: int, directory: Path) -> tuple[psutil.Process, ...]:
    """The members of `session`, without this process, whose process group has lost its leader."""
    members = processes.session_members(session, directory)
    return tuple(each for each in members if each.pid != os.getpid() and _has_lost_leader(each.pid, session))


def _has_lost_leader(pid: int, session: int) -> bool:
    """Psutil knows neither sessions nor groups."""
    try:
        return os.getsid(pid) == session and processes.find(os.getpgid(pid)) is None
    except OSError:  # it has gone meanwhile
        return False


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the system knows of processes: who lives, who started whom. Read from /proc; elsewhere the answer is `None`.

supervisord is started as the leader of a session of its own, and what it starts stays in that session. The session's
number therefore finds every process of the stack, even when supervisord itself has been killed, and no other: the
system gives a number to no new process while a session still has it.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_NAME_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Process:
    """One living process, by numbers; `started` is in the system's clock ticks since it booted."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    command: str


def find(pid: int) -> Process | None:
    """The process `pid`; None when it is gone, is a zombie, or the system has no /proc."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        arguments = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in brackets, and may itself hold brackets and spaces.
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    if fields[0] in {"Z", "X"}:
        return None
    command = " ".join(arguments.replace(b"\0", b" ").decode(errors="replace").split())
    parent, group, session, started = (int(fields[place]) for place in (1, 2, 3, 19))
    return Process(pid, parent, group, session, started, (command or name)[:_NAME_WIDTH])


def is_alive(pid: int, started: int | None) -> bool:
    """Whether `pid` is still the process that began at `started`; without /proc, whether it is any process."""
    process = find(pid)
    if process is not None:
        return started is None or process.started == started
    if _PROC.joinpath("self").exists():
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def in_session(session: int, directory: Path) -> tuple[Process, ...]:
    """The living processes of `session`, and those that they started in sessions of their own (engines are such).

    Only what runs in `directory` counts, which tells the session from a stranger's.
    """
    if not _PROC.joinpath("self").exists():
        return ()
    everyone = (find(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    living = [process for process in everyone if process is not None]
    members = {one.pid: one for one in living if one.session == session and _works_in(one.pid, directory)}
    grown = True
    while grown:
        children = [one for one in living if one.parent in members and one.pid not in members]
        members.update({one.pid: one for one in children})
        grown = bool(children)
    return tuple(members.values())


def listener(port: int) -> Process | None:
    """Who listens on the TCP port `port`; None when that cannot be seen (another user's, or no /proc)."""
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listening = fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for entry in _PROC.iterdir() if inodes else ():
        if entry.name.isdigit() and _holds(entry, inodes):
            return find(int(entry.name))
    return None


def end(processes: tuple[Process, ...], how: signal.Signals) -> None:
    """Sends `how` to each; one that has gone meanwhile is no error."""
    for process in processes:
        if is_alive(process.pid, process.started):
            try:
                os.kill(process.pid, how)
            except ProcessLookupError:
                continue


def wait_gone(session: int, directory: Path, timeout: float) -> tuple[Process, ...]:
    """Waits up to `timeout` seconds for the session to be empty; returns who is still there."""
    deadline = time.monotonic() + timeout
    while (left := in_session(session, directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _works_in(pid: int, directory: Path) -> bool:
    try:
        return (_PROC / str(pid) / "cwd").resolve(strict=True) == directory.resolve()
    except OSError:
        return False


def _holds(entry: Path, inodes: set[str]) -> bool:
    try:
        return any(str(descriptor.readlink()) in inodes for descriptor in (entry / "fd").iterdir())
    except OSError:
        return False

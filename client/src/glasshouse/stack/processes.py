"""The processes of a native stack: found by their session, signalled, and waited for.

supervisord leads a session of its own, and what it starts stays in that session. The session's ID therefore finds every
process of the stack, even when supervisord itself has been killed, and no other: the kernel gives the ID to no new
process while the session has a member.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_POLL_S = 0.05
_MAX_COMMAND = 60
_GONE = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def find(pid: int) -> psutil.Process | None:
    """The process `pid`; None when it is gone or a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() in _GONE else process
    except psutil.Error:
        return None


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where the system has no /proc.

    Not psutil's create_time(), which is this plus the time of boot, and moves when the clock is set, as it is once
    after many a boot. Commands compare this across minutes and days.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets, and may itself hold brackets and spaces.
    return int(stat.rpartition(")")[2].split()[19])


def is_alive(pid: int, started: int | None) -> bool:
    """Whether `pid` is still the process that started at these ticks; where they are unknown, whether it is any."""
    return find(pid) is not None and started in (None, start_ticks(pid))


def session_members(session: int, directory: Path) -> tuple[psutil.Process, ...]:
    """The living processes of `session`, and those that they started in sessions of their own, as launchers do engines.

    Only a session that runs in `directory` counts: the ID may have become a stranger's.
    """
    psutil.process_iter.cache_clear()  # it would skip a process once whose ID it knows as another's
    living = [each for each in psutil.process_iter(["ppid", "status"]) if each.info["status"] not in _GONE]
    members = {each.pid: each for each in living if _session(each.pid) == session and _runs_in(each, directory)}
    has_grown = bool(members)
    while has_grown:
        children = [each for each in living if each.info["ppid"] in members and each.pid not in members]
        members.update({each.pid: each for each in children})
        has_grown = bool(children)
    return tuple(members.values())


def describe(process: psutil.Process) -> str:
    """A process for a person: its ID and the beginning of its command line."""
    return f"{process.pid} ({command(process)})"


def command(process: psutil.Process) -> str:
    """The beginning of a command line on one line; the program's name where it has none; empty once it is gone."""
    try:
        words = " ".join(process.cmdline()).split() or [process.name()]
    except psutil.Error:
        return ""
    return " ".join(words)[:_MAX_COMMAND]


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signals each that is still the same process. Whoever then waits for them sees those that refuse."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def wait_gone(session: int, directory: Path, timeout_s: float) -> tuple[psutil.Process, ...]:
    """Waits up to `timeout_s` for the session to be empty; returns who is still there.

    psutil.wait_procs() would not see what these processes start meanwhile.
    """
    deadline = time.monotonic() + timeout_s
    while (left := session_members(session, directory)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return left


def _session(pid: int) -> int | None:
    """The session of a process, which psutil does not know."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _runs_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return Path(process.cwd()) == directory.resolve()
    except psutil.Error:
        return False

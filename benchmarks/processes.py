"""CPU time and memory of a process and all its children, read from `/proc` (proc(5)); Linux only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")  # of utime and stime: 100 on Linux, so that a reading is 10 ms sharp
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 1_000_000


class Stat(NamedTuple):
    """What `/proc/<pid>/stat` says of one process.

    Args:
        parent: its parent's pid.
        ticks: user and system time of its own and of the children that it has waited for.
        pages: resident memory.
        started: ticks from boot to its start; with the pid, this names one process for good.
    """

    parent: int
    ticks: int
    pages: int
    started: int


class Usage(NamedTuple):
    """What a process tree has used.

    Args:
        cpu_s: seconds of CPU since each process began, ended children included once they were waited for.
        rss_mb: resident memory in megabytes, added up over the processes: what they share counts for each.
        processes: how many there are.
    """

    cpu_s: float
    rss_mb: float
    processes: int


def read_stat(pid: int) -> Stat | None:
    """Read one process; nothing when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name, in parentheses, may hold spaces; field 3 of proc(5) comes next
    return Stat(
        parent=int(fields[1]),
        ticks=sum(int(field) for field in fields[11:15]),
        pages=int(fields[21]),
        started=int(fields[19]),
    )


def tree(root: int) -> dict[int, Stat]:
    """Return a process and all its descendants that live, by pid; empty when the root is gone."""
    everyone = {pid: stat for pid in _pids() if (stat := read_stat(pid)) is not None}
    found = {root: everyone[root]} if root in everyone else {}
    newest = set(found)
    while newest:  # generation by generation: ends, since a process has one parent
        newest = {pid for pid, stat in everyone.items() if stat.parent in newest and pid not in found}
        found.update({pid: everyone[pid] for pid in newest})
    return found


def usage(root: int) -> Usage:
    """Measure a process tree.

    Raises:
        ProcessLookupError: the root is gone, so that any figure would be wrong.
    """
    stats = tree(root)
    if not stats:
        raise ProcessLookupError(f"process {root} has ended")
    return Usage(
        cpu_s=sum(stat.ticks for stat in stats.values()) / TICKS_PER_S,
        rss_mb=sum(stat.pages for stat in stats.values()) * PAGE_BYTES / MEGABYTE,
        processes=len(stats),
    )


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]

"""CPU time and memory of a process and all its descendants."""

from __future__ import annotations

import contextlib
import time
from typing import NamedTuple

import psutil

MEGABYTE = 1_000_000
_CPUCLOCK_SCHED = (
    2  # the clock of a process by its pid, as clock_getcpuclockid(3) makes it: Python has it for threads only
)


class Usage(NamedTuple):
    """The resources that a process tree has used.

    Args:
        cpu_s: seconds of CPU since each process started, to the nanosecond; children that have ended are included once
            their parent has waited for them, in ticks of 10 ms.
        rss_mb: resident memory in megabytes, summed over the processes: shared pages count once for each.
        processes: how many there are.
    """

    cpu_s: float
    rss_mb: float
    processes: int


def tree(root: int) -> list[psutil.Process]:
    """Return a process and all its living descendants; empty when the root has ended."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def usage(root: int) -> Usage:
    """Measure a process tree.

    Raises:
        ProcessLookupError: the root has ended, so that any figure would be wrong.
    """
    processes = tree(root)
    if not processes:
        raise ProcessLookupError("the process has ended")
    cpu_s = rss = 0.0
    for process in processes:
        # One that has just ended counts among its parent's children.
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError), process.oneshot():
            times = process.cpu_times()
            cpu_s += own_cpu_s(process.pid) + times.children_user + times.children_system
            rss += process.memory_info().rss
    return Usage(cpu_s, rss / MEGABYTE, len(processes))


def own_cpu_s(pid: int) -> float:
    """Return the CPU seconds of one process, without its children's.

    Raises:
        ProcessLookupError: it has ended.
    """
    try:
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError("the process has ended") from error


def machine_cpu_s() -> float:
    """Return the CPU seconds that all processes of the machine have used since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)

"""What node-exporter reports of each VM beyond its capacity: input and output, killed processes."""

from observability import downsampling
from observability.promql import Scope, total
from observability.queries.node import JOB

CPU_BUSY = "vm:node_cpu_busy:avg1m"
# Loops and RAM disks hold no data; partitions are counted in their disk.
_DISKS = 'device!~"(loop|ram|zram|dm-).*"'
# Between containers, and to oneself.
_NETWORKS = 'device!~"(lo|veth|br-|docker|virbr).*"'


def _series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"node_{name}", JOB, *matchers, vm="vm")


def cpu_busy(scope: Scope) -> str:
    """The busy share of CPU time, from a recorded series."""
    return downsampling.over_time(scope, CPU_BUSY, "max by (vm)", vm="vm")


def disk_bytes(scope: Scope, direction: str) -> str:
    """Bytes per second of all disks; direction is read or written."""
    return total(scope.rate(_series(scope, f"disk_{direction}_bytes_total", _DISKS)), "vm")


def disk_busy(scope: Scope) -> str:
    """The share of time in which the busiest disk had something to do."""
    return f"max by (vm) ({scope.rate(_series(scope, 'disk_io_time_seconds_total', _DISKS))})"


def network_bytes(scope: Scope, direction: str) -> str:
    """Bytes per second of all network interfaces; direction is receive or transmit."""
    return total(scope.rate(_series(scope, f"network_{direction}_bytes_total", _NETWORKS)), "vm")


def oom_kills(scope: Scope) -> str:
    """Processes in the window that the kernel killed for want of memory."""
    return total(scope.increase(_series(scope, "vmstat_oom_kill")), "vm")

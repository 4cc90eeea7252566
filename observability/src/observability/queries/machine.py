"""What node-exporter says of each VM: its disks, its processors, its memory."""

from observability.promql import Scope, share

JOB = "node-exporter"
# In memory, or not for writing.
_NOT_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|fuse.*"'


def disk_free(scope: Scope) -> str:
    """The share of each disk that is free."""
    free, size = (scope.series(f"node_filesystem_{what}_bytes", JOB, _NOT_DISKS, vm="vm") for what in ("avail", "size"))
    return f"min by (mountpoint, vm) ({share(free, size)})"


def busy(scope: Scope) -> str:
    """The share of the processors' time in which they worked."""
    spent = scope.rate(scope.series("node_cpu_seconds_total", JOB, 'mode!~"idle|iowait"', vm="vm"))
    known = scope.series("node_cpu_seconds_total", JOB, vm="vm")
    return share(f"sum by (vm) ({spent})", f"count by (vm) (count by (vm, cpu) ({known}))")


def memory_used(scope: Scope) -> str:
    """The share of main memory that cannot be had without taking it from somebody."""
    available, whole = (scope.series(f"node_memory_Mem{what}_bytes", JOB, vm="vm") for what in ("Available", "Total"))
    return f"1 - max by (vm) ({share(available, whole)})"

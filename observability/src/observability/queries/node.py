"""What node-exporter reports of each VM: disks, CPUs, memory."""

from observability.promql import Scope, share

JOB = "node-exporter"
# In memory, or read-only.
_NO_DISK = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|fuse.*"'


def disk_free(scope: Scope) -> str:
    """The free share of each disk; over time, the lowest."""
    return f"min by (mountpoint, vm) ({_free(scope)})"


def disk_free_by_device(scope: Scope) -> str:
    """The free share of each disk, by device."""
    return f"min by (vm, device, mountpoint) ({_free(scope)})"


def disk_full_soon(scope: Scope, ahead_seconds: int, below: float) -> str:
    """The free share of disks with less than `below` free that their trend fills within `ahead_seconds`."""
    available = _filesystem(scope, "avail")
    # A trend needs an hour of samples: the first minutes after a start would fill any disk.
    trend = (
        f"predict_linear({available}[{scope.window}], {ahead_seconds}) < 0 "
        f"and count_over_time({available}[{scope.window}:5m]) >= 12"
    )
    return f"min by (vm, device, mountpoint) ({_free(scope)} < {below} and {trend})"


def cpu_busy(scope: Scope) -> str:
    """The busy share of CPU time."""
    busy = scope.rate(scope.series("node_cpu_seconds_total", JOB, 'mode!~"idle|iowait"', vm="vm"))
    every_mode = scope.series("node_cpu_seconds_total", JOB, vm="vm")
    return share(f"sum by (vm) ({busy})", f"count by (vm) (count by (vm, cpu) ({every_mode}))")


def memory_used(scope: Scope) -> str:
    """The share of main memory that is not available; over time, the highest."""
    available, whole = (scope.series(f"node_memory_Mem{kind}_bytes", JOB, vm="vm") for kind in ("Available", "Total"))
    return f"1 - max by (vm) ({share(scope.lowest(available), whole)})"


def clock_skew(scope: Scope) -> str:
    """Seconds between the clocks of a VM and of Prometheus, of both signs."""
    clock = scope.series("node_time_seconds", JOB, vm="vm")
    return f"max by (vm) ({clock} - timestamp({clock}))"


def _free(scope: Scope) -> str:
    return share(scope.lowest(_filesystem(scope, "avail")), _filesystem(scope, "size"))


def _filesystem(scope: Scope, kind: str) -> str:
    return scope.series(f"node_filesystem_{kind}_bytes", JOB, _NO_DISK, vm="vm")

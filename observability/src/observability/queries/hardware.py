"""What can go wrong with a GPU, a disk and the gateway's own processes."""

from observability import settings
from observability.promql import Scope, quantile, share, total

_GPU = "gpu-exporter"
# What holds the clock down though nobody asked for it. The power limit is left out: an L4 under load is always at it.
_THROTTLES = "hw_slowdown|hw_thermal|hw_power_brake|sw_thermal"
# In memory, or not for writing.
_NOT_DISKS = "tmpfs|ramfs|overlay|squashfs|iso9660|fuse.*"


def gpus_lost(scope: Scope) -> str:
    """How many GPUs should be there and cannot be read; at least 1 while the exporter cannot read them all."""
    expected, visible = (scope.series(f"gpu_exporter_gpus_{kind}", _GPU) for kind in ("expected", "visible"))
    return f"clamp_min({expected} - {visible}, 1) and on (job, instance) {scope.series('gpu_up', _GPU)} == 0"


def throttled_share(scope: Scope) -> str:
    """The share of the window in which heat or a fault held a GPU's clock down, by which."""
    active = scope.series("gpu_clock_event_active", _GPU, f'clock_event=~"{_THROTTLES}"')
    return f"max by (gpu, clock_event) (avg_over_time({active}[{scope.window}]))"


def grave_xids(scope: Scope) -> str:
    """How many errors of those that end a GPU's work the driver has told of in the window, by GPU and number."""
    xids = scope.series("gpu_xid_errors_total", _GPU, f'xid=~"{"|".join(map(str, settings.GRAVE_XIDS))}"')
    # The exporter has these from 0 on, so that the first one is an increase. An increase is extrapolated to the edges
    # of its window: a little more than a whole number.
    return total(f"round(increase({xids}[{scope.window}]))", "gpu", "xid")


def disk_free(scope: Scope) -> str:
    """The share of each disk that is free."""
    return f"min by (device, mountpoint) ({_free(scope)})"


def disk_soon_full(scope: Scope, ahead_seconds: int, below: float) -> str:
    """The same, of disks with less than `below` free that will be full in `ahead_seconds` if they go on as they do."""
    available = _disk(scope, "avail")
    # A trend needs an hour to be one: the first minutes after a start would fill any disk.
    trend = (
        f"predict_linear({available}[{scope.window}], {ahead_seconds}) < 0 "
        f"and count_over_time({available}[{scope.window}:5m]) >= 12"
    )
    return f"min by (device, mountpoint) ({_free(scope)} < {below} and {trend})"


def workers_missing(scope: Scope) -> str:
    """How many of a gateway's processes are not there."""
    expected, up = scope.series("gateway_workers_expected", "gateway"), scope.series("gateway_worker_up", "gateway")
    return f"sum by (instance) ({expected}) - sum by (instance) ({up})"


def loop_lag(scope: Scope) -> str:
    """Seconds by which one in twenty of the gateway's timers is late, or more."""
    return quantile(0.95, scope.rate(scope.series("gateway_event_loop_lag_seconds_bucket", "gateway")), "instance")


def _free(scope: Scope) -> str:
    return share(_disk(scope, "avail"), _disk(scope, "size"))


def _disk(scope: Scope, kind: str) -> str:
    return scope.series(f"node_filesystem_{kind}_bytes", "node-exporter", f'fstype!~"{_NOT_DISKS}"')

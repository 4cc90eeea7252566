"""Alerts on GPUs and disks."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import gpu, node, stack

_FIVE_MINUTES, _TEN_MINUTES, _QUARTER_HOUR, _SIX_HOURS = Scope("5m"), Scope("10m"), Scope("15m"), Scope("6h")


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="GpuLost",
            expr=gpu.lost(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="page",
            summary=f"{VALUE} GPU(s) of {{{{ $labels.instance }}}} cannot be read",
            value_format="humanize",
            description="The GPU fell off the bus, its driver does not respond, or the container lost its device "
            "files. Whatever runs on it has failed or is about to. Check nvidia-smi on the host.",
            dashboard="GPU",
            panel="GPUs missing",
        ),
        Alert(
            name="GpuXidError",
            expr=gpu.critical_xids(_QUARTER_HOUR),
            limit=0,
            for_="0s",
            severity="page",
            summary=f"GPU {{{{ $labels.gpu }}}} reported XID {{{{ $labels.xid }}}} {VALUE} time(s) in 15 minutes",
            value_format="humanize",
            description="The driver reported a hardware error: results computed since then are unreliable, and the GPU "
            "may fail. Restart the engine, and replace the GPU if the error returns after a reboot. The alert resolves "
            "15 minutes after the last error, whether or not it was fixed.",
            dashboard="GPU",
            panel="XID errors",
        ),
        Alert(
            name="GpuThrottled",
            expr=gpu.throttled_share(_TEN_MINUTES),
            limit=settings.THROTTLED_SHARE_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"GPU {{{{ $labels.gpu }}}} was throttled {VALUE} of ten minutes: {{{{ $labels.clock_event }}}}",
            value_format="humanizePercentage",
            description="Heat or the power supply holds the clocks down, and tokens per second fall with them. Check "
            "cooling and power. The GPU's own power limit is not counted, since an L4 under load is always at it.",
            dashboard="GPU",
            panel="Clock throttle reasons",
        ),
        Alert(
            name="GpuMemoryLow",
            expr=stack.vram_free(_FIVE_MINUTES),
            limit=settings.VRAM_FREE_LIMIT_MIB,
            below=True,
            for_="5m",
            severity="ticket",
            summary=f"GPU {{{{ $labels.gpu }}}} has {VALUE} MiB of free memory",
            value_format="humanize",
            description="The next allocation by the driver, a CUDA graph or another process can end the engine with an "
            "out-of-memory error. vLLM reserves most of the memory by design; check what else uses the GPU.",
            dashboard="GPU",
            panel="GPU memory",
        ),
        Alert(
            name="FilesystemSpaceFillingUp",
            expr=f"{node.disk_free_by_device(_SIX_HOURS)} < {settings.DISK_FREE_LIMIT} or "
            + node.disk_full_soon(_SIX_HOURS, settings.DISK_TREND_SECONDS, settings.DISK_TREND_BELOW),
            limit=1,
            below=True,
            for_="10m",
            severity="ticket",
            summary=f"The filesystem at {{{{ $labels.mountpoint }}}} has {VALUE} of its space left",
            value_format="humanizePercentage",
            description=f"Less than {settings.DISK_FREE_LIMIT:.0%} is free, or the trend of the last six hours fills "
            "it within a day. On a full disk Prometheus and Grafana stop, and models cannot be downloaded. Check "
            "docker system df.",
            dashboard="Overview",
            panel="Free disk space",
        ),
    )

"""Alerts on GPUs and disks."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import hardware, stack

_FIVE_MINUTES, _TEN_MINUTES, _QUARTER_HOUR, _SIX_HOURS = Scope("5m"), Scope("10m"), Scope("15m"), Scope("6h")


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="GpuLost",
            expr=hardware.gpus_lost(_FIVE_MINUTES),
            limit=0,
            lasting="2m",
            severity="page",
            summary=f"{VALUE} GPU(s) of {{{{ $labels.instance }}}} cannot be read",
            value_format="humanize",
            meaning="The GPU fell off the bus, its driver does not answer, or the container lost its device files. "
            "What runs on it has failed or will at its next step.",
            dashboard="GPU",
            panel="GPUs missing",
        ),
        Alert(
            name="GpuXid",
            expr=hardware.grave_xids(_QUARTER_HOUR),
            limit=0,
            lasting="0s",
            severity="page",
            summary=f"GPU {{{{ $labels.gpu }}}}: XID {{{{ $labels.xid }}}}, {VALUE} time(s) in a quarter of an hour",
            value_format="humanize",
            meaning="The driver told of an error of the GPU itself, after which its results or its life are in doubt. "
            "Silent again a quarter of an hour after the last one, whether it was mended or not.",
            dashboard="GPU",
            panel="XID errors",
        ),
        Alert(
            name="GpuThrottled",
            expr=hardware.throttled_share(_TEN_MINUTES),
            limit=settings.THROTTLED_SHARE_LIMIT,
            lasting="5m",
            severity="ticket",
            summary=f"GPU {{{{ $labels.gpu }}}} is held down, {VALUE} of ten minutes: {{{{ $labels.clock_event }}}}",
            value_format="humanizePercentage",
            meaning="Heat or power supply costs tokens per second. The GPU's own power limit is not counted: an L4 "
            "under load is always at it.",
            dashboard="GPU",
            panel="What slows the clocks",
        ),
        Alert(
            name="GpuMemoryLow",
            expr=stack.vram_free(_FIVE_MINUTES),
            limit=settings.VRAM_FREE_LIMIT_MIB,
            below=True,
            lasting="5m",
            severity="ticket",
            summary=f"GPU {{{{ $labels.gpu }}}} has {VALUE} MiB free",
            value_format="humanize",
            meaning="The next allocation of driver, CUDA graph or another process can end the engine with an "
            "out-of-memory error. What vLLM took at start is used by design and is not the point.",
            dashboard="GPU",
            panel="GPU memory",
        ),
        Alert(
            name="DiskFills",
            expr=f"{hardware.disk_free(_SIX_HOURS)} < {settings.DISK_FREE_LIMIT} or "
            + hardware.disk_soon_full(_SIX_HOURS, settings.DISK_TREND_SECONDS, settings.DISK_TREND_BELOW),
            limit=1,
            below=True,
            lasting="10m",
            severity="ticket",
            summary=f"The disk at {{{{ $labels.mountpoint }}}} has {VALUE} of its space left",
            value_format="humanizePercentage",
            meaning=f"Less than {settings.DISK_FREE_LIMIT:.0%} is left, or it will be full tomorrow if it goes on as "
            "in the last six hours. Prometheus and Grafana stop when it is full, and no model can be downloaded.",
            dashboard="Overview",
            panel="Disks, free",
        ),
    )

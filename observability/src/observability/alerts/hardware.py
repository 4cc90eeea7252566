"""Alerts on GPUs, clocks and disks."""

from observability import settings
from observability.alerts.alert import ON_VM, VALUE, Alert
from observability.promql import Scope
from observability.queries import gpu, node, stack

_FIVE_MINUTES, _TEN_MINUTES, _QUARTER_HOUR, _SIX_HOURS = Scope("5m"), Scope("10m"), Scope("15m"), Scope("6h")
_NOW = _FIVE_MINUTES
_GPU = f"GPU {{{{ $labels.gpu }}}} {ON_VM}"
_DISK = f"The filesystem at {{{{ $labels.mountpoint }}}} {ON_VM}"
_SKEW = settings.CLOCK_SKEW_LIMIT_SECONDS


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="GpuLost",
            expr=gpu.lost(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="page",
            summary=f"{VALUE} GPU(s) of {{{{ $labels.instance }}}} {ON_VM} cannot be read",
            resolved=f"All GPUs of {{{{ $labels.instance }}}} {ON_VM} can be read again",
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
            summary=f"{_GPU} reported XID {{{{ $labels.xid }}}} {VALUE} time(s) in 15 minutes",
            resolved=f"{_GPU} has reported no XID {{{{ $labels.xid }}}} for 15 minutes, and may still be faulty",
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
            summary=f"{_GPU} was throttled {VALUE} of ten minutes: {{{{ $labels.clock_event }}}}",
            resolved=f"{_GPU} is no longer throttled by {{{{ $labels.clock_event }}}}",
            value_format="humanizePercentage",
            description="Heat or the power supply holds the clocks down, and tokens per second fall with them. Check "
            "cooling and power. The GPU's own power limit is not counted, since an L4 under load is always at it.",
            dashboard="GPU",
            panel="What slows the clocks",
        ),
        Alert(
            name="GpuMemoryLow",
            expr=stack.vram_free(_FIVE_MINUTES),
            limit=settings.VRAM_FREE_LIMIT_MIB,
            below=True,
            for_="5m",
            severity="ticket",
            summary=f"{_GPU} has {VALUE} MiB of free memory",
            resolved=f"{_GPU} has enough free memory again",
            value_format="humanize",
            description="The next allocation by the driver, a CUDA graph or another process can end the engine with an "
            "out-of-memory error. vLLM reserves most of the memory by design; check what else uses the GPU.",
            dashboard="GPU",
            panel="GPU memory",
        ),
        Alert(
            name="GpuMetricsStale",
            expr=gpu.age_at_scrape(_NOW),
            limit=settings.GPU_DATA_AGE_LIMIT_SECONDS,
            for_="2m",
            severity="ticket",
            summary=f"The GPU metrics {ON_VM} are {VALUE} old",
            resolved=f"The GPU metrics {ON_VM} are up to date again",
            value_format="humanizeDuration",
            description="The exporter responds and has not read its GPUs for a while: what the GPU dashboard shows is "
            "what was, and alerts on GPUs cannot fire. Check the log of gpu-exporter, and whether nvidia-smi hangs.",
            dashboard="GPU",
            panel="Age of the data",
        ),
        Alert(
            name="ClockSkew",
            expr=f"abs({node.clock_skew(_NOW)}) > {_SKEW} or 0 - ({gpu.age_at_scrape(_NOW)}) > {_SKEW}",
            limit=_SKEW,
            for_="5m",
            severity="ticket",
            summary=f"The clock {ON_VM} differs from that of Prometheus by {VALUE}",
            resolved=f"The clock {ON_VM} agrees with that of Prometheus again",
            value_format="humanizeDuration",
            description="Times that one machine writes and another reads are wrong by as much, such as the age of GPU "
            "metrics; keys and certificates expire early or late. Check chrony or systemd-timesyncd.",
            dashboard="GPU",
            panel="Age of the data",
        ),
        Alert(
            name="FilesystemSpaceFillingUp",
            expr=f"{node.disk_free_by_device(_SIX_HOURS)} < {settings.DISK_FREE_LIMIT} or "
            + node.disk_full_soon(_SIX_HOURS, settings.DISK_TREND_SECONDS, settings.DISK_TREND_BELOW),
            limit=1,
            below=True,
            for_="10m",
            severity="ticket",
            summary=f"{_DISK} has {VALUE} of its space left",
            resolved=f"{_DISK} has enough space again",
            value_format="humanizePercentage",
            description=f"Less than {settings.DISK_FREE_LIMIT:.0%} is free, or the trend of the last six hours fills "
            "it within a day. On a full disk Prometheus and Grafana stop, and models cannot be downloaded. Check "
            "docker system df.",
            dashboard="Overview",
            panel="Disks, free",
        ),
    )

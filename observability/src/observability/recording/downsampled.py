"""The long steps of series that are recorded of short steps by other groups (`downsampling`)."""

from observability import downsampling, settings
from observability.recording import (
    cost,
    dashboards,
    extremes,
    gateway,
    gpu,
    launchers,
    llamacpp,
    nginx,
    reconciliation,
    slo,
    vllm,
)
from observability.recording.group import Group

# Later than the other groups' samples of the same moment are stored: each must be in one of the steps.
_DELAY_SECONDS = settings.EVALUATION_INTERVAL_SECONDS


def group() -> Group:
    """Sums of counts, extremes of extremes, and means of means."""
    groups = (
        slo.group(),
        extremes.group(),
        extremes.machines(),
        dashboards.group(),
        gateway.group(),
        vllm.group(),
        llamacpp.group(),
        launchers.group(),
        gpu.group(),
        gpu.counters(),
        nginx.group(),
        cost.group(),
        reconciliation.group(),
    )
    names = [name for each in groups for name in each.series if downsampling.is_downsampled(name)]
    window = f"[{downsampling.LONG_STEP_SECONDS}s] offset {_DELAY_SECONDS}s"
    series = {}
    for name in names:
        steps = f"{downsampling.made_by(name)}_over_time({name}{{}}{window})"
        series[downsampling.long_steps(name)] = steps
        if variable := downsampling.split_by(name):
            series[downsampling.of_all(name)] = f"sum without ({variable}) ({steps})"
    return Group("glasshouse-long-steps", downsampling.LONG_STEP_SECONDS, series)

"""The long steps of series that are recorded of short steps by other groups (`downsampling`)."""

from observability import downsampling, settings
from observability.recording import cost, dashboards, extremes, gateway, slo, vllm
from observability.recording.group import Group

# Later than the other groups' samples of the same moment are stored: each must be in one of the steps.
_DELAY_SECONDS = settings.EVALUATION_INTERVAL_SECONDS


def group() -> Group:
    """Sums of counts, and extremes of extremes."""
    groups = (
        slo.group(),
        extremes.group(),
        extremes.machines(),
        dashboards.group(),
        gateway.group(),
        vllm.group(),
        cost.group(),
    )
    names = [name for each in groups for name in each.series if downsampling.is_downsampled(name)]
    window = f"[{downsampling.LONG_STEP_SECONDS}s] offset {_DELAY_SECONDS}s"
    series = {}
    for name in names:
        steps = f"{downsampling.made_by(name)}_over_time({name}{{}}{window})"
        series[downsampling.long_steps(name)] = steps
        if downsampling.is_by_model(name):
            series[downsampling.of_all_models(name)] = f"sum without (model) ({steps})"
    return Group("glasshouse-long-steps", downsampling.LONG_STEP_SECONDS, series)

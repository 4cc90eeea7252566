"""What GPUs reported, for graphs over long ranges (`queries.gpu`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import gpu
from observability.recording.group import Group

# Longer than a step: a sample is stored under the time at which its scrape began, and may be missing until it ends.
_GAUGES = Scope("20s", extremes=True)
_COUNTERS = Scope("1m")
# An exporter that could not be scraped for so long has what it counted recorded when it can.
_LONGEST_GAP = "15m"


def group() -> Group:
    """Gauges of each GPU and of the exporter."""
    highest = {gpu.recorded(name): gpu.per_gpu(_GAUGES, name) for name in gpu.HIGHEST}
    means = {gpu.recorded(name): gpu.mean_per_gpu(_GAUGES, name) for name in gpu.MEANS}
    others = {
        gpu.CLOCK_EVENTS: gpu.clock_events(_GAUGES),
        gpu.COLLECT_SECONDS: gpu.collect_seconds(_GAUGES),
        gpu.DATA_AGE: gpu.data_age(_GAUGES),
        gpu.CLOCK_SKEW: gpu.clock_skew(_GAUGES),
    }
    return Group("glasshouse-gpu", gpu.STEP_SECONDS, highest | means | others)


def counters() -> Group:
    """What the counters of each GPU gained, but for its energy."""
    gained = {gpu.recorded(name): _increase(gpu.field(_COUNTERS, name)) for name in gpu.COUNTERS if name != gpu.ENERGY}
    errors = _increase(gpu.xid_errors(_COUNTERS), "xid")
    return Group("glasshouse-gpu-counters", gpu.COUNTER_STEP_SECONDS, {**gained, gpu.XIDS: errors})


def energy() -> dict[str, str]:
    """The energy of each GPU: recorded in the group of vLLM's tokens, by which it is divided."""
    return {gpu.recorded(gpu.ENERGY): _increase(gpu.field(_COUNTERS, gpu.ENERGY))}


def _increase(counters: str, *by: str) -> str:
    step, delay = gpu.COUNTER_STEP_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, gpu.JOB, step, delay, _LONGEST_GAP), *gpu.GPU_LABELS, *by)

"""What vLLM's counters and histograms gained each minute, for graphs over long ranges (`queries.vllm.recorded`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import vllm
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A server that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"


def group() -> Group:
    """Those that the Engine dashboard and the Gateway dashboard show."""
    return Group(
        "glasshouse-vllm",
        vllm.STEP_SECONDS,
        {vllm.recorded(metric): _increase(metric, *labels) for metric, labels in vllm.RECORDED.items()},
    )


def _increase(metric: str, *labels: str) -> str:
    counters, delay = vllm.series(_SCOPE, metric), settings.SCRAPE_INTERVAL_SECONDS
    increase = increase_between_evaluations(counters, vllm.JOB, vllm.STEP_SECONDS, delay, _LONGEST_GAP)
    return total(increase, *vllm.SERVER, "model_name", *labels)

"""Alerts on engines that are up and do not work as they should."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import engine_faults

_MINUTE, _FIVE_MINUTES, _TEN_MINUTES = Scope("1m"), Scope("5m"), Scope("10m")
_WHO = "{{ $labels.job }} ({{ $labels.instance }})"


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="EngineStalled",
            expr=engine_faults.stalled(_MINUTE),
            limit=0,
            lasting="1m",
            severity="page",
            summary=f"{_WHO} has {VALUE} requests in work and has not moved for two minutes",
            value_format="humanize",
            meaning="The engine's server answers and its engine does not: requests wait until they time out, and new "
            "ones join them.",
            dashboard="Engine",
            panel="Requests running and waiting",
        ),
        Alert(
            name="OutputCollapsed",
            expr=engine_faults.collapsed(_FIVE_MINUTES, "6h:5m"),
            limit=settings.OUTPUT_COLLAPSED_SHARE,
            below=True,
            lasting="5m",
            severity="ticket",
            summary=f"{_WHO} lets requests wait and writes {VALUE} of the tokens per second that it can",
            value_format="humanizePercentage",
            meaning="It has work and does little of it, against its best five minutes in six hours: a throttled GPU, "
            "memory that is swapped, preemptions, a neighbour on the same GPU. Very long prompts look the same for a "
            "while: they are computed before anything is written.",
            dashboard="Overview",
            panel="Output tokens per second",
        ),
        Alert(
            name="EngineQueueLong",
            expr=engine_faults.waiting(_FIVE_MINUTES),
            limit=settings.QUEUE_LIMIT,
            lasting="5m",
            severity="ticket",
            summary=f"{_WHO} lets {VALUE} requests wait",
            value_format="humanize",
            meaning="More comes in than it can compute, and has for five minutes. Clients wait for their first token.",
            dashboard="Engine",
            panel="Requests running and waiting",
        ),
        Alert(
            name="KvCacheThrashes",
            expr=engine_faults.preemptions(_TEN_MINUTES),
            limit=settings.PREEMPTIONS_LIMIT,
            lasting="5m",
            severity="ticket",
            summary=f"{_WHO} took requests out of its batch {VALUE} times in ten minutes, for want of KV cache",
            value_format="humanize",
            meaning="Each of them is computed again from its beginning: the GPU is busy and clients get less.",
            dashboard="Engine",
            panel="vLLM preemptions",
        ),
    )

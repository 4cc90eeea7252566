"""Alerts on engines that answer but do not perform, or do not stay up."""

from observability import settings
from observability.alerts.alert import ON_VM, VALUE, Alert
from observability.promql import Scope
from observability.queries import engine_faults, launchers

_MINUTE, _FIVE_MINUTES, _TEN_MINUTES, _QUARTER_HOUR = Scope("1m"), Scope("5m"), Scope("10m"), Scope("15m")
_ENGINE = f"{{{{ $labels.job }}}} ({{{{ $labels.instance }}}}) {ON_VM}"
_LAUNCHED = f"{{{{ $labels.engine }}}}{{{{ with $labels.model }}}} ({{{{ . }}}}){{{{ end }}}} {ON_VM}"


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="EngineRestarting",
            expr=launchers.starts_by_cause(_QUARTER_HOUR),
            limit=settings.ENGINE_STARTS_LIMIT,
            for_="0s",
            severity="page",
            summary=f"{_LAUNCHED} was started {VALUE} times within 15 minutes"
            "{{ with $labels.reason }}: {{ . }}{{ end }}",
            resolved=f"{_LAUNCHED} stays up",
            value_format="humanize",
            description="Its process ends again and again, and each time its running requests fail. The reason is that "
            "of the last failure, by its launcher. Check the log of the engine.",
            dashboard="Engine",
            panel="Starts",
        ),
        Alert(
            name="EngineStalled",
            expr=engine_faults.stalled(_MINUTE),
            limit=0,
            for_="1m",
            severity="page",
            summary=f"{_ENGINE} has {VALUE} running requests and has made no progress for two minutes",
            resolved=f"{_ENGINE} makes progress again, or has no running requests",
            value_format="humanize",
            description="The HTTP server responds but the engine behind it computes nothing: running requests time out "
            "and new ones queue behind them. Check the engine's log and nvidia-smi, then restart it.",
            dashboard="Engine",
            panel="Requests running and waiting",
        ),
        Alert(
            name="EngineThroughputDegraded",
            expr=engine_faults.degraded_throughput(_FIVE_MINUTES, "6h:5m"),
            limit=settings.THROUGHPUT_DEGRADED_SHARE,
            below=True,
            for_="5m",
            severity="ticket",
            summary=f"{_ENGINE} generates {VALUE} of its best tokens per second while requests wait",
            resolved=f"{_ENGINE} generates at its usual speed again, or no requests wait",
            value_format="humanizePercentage",
            description="Requests are queued, but throughput is far below the best five minutes of the last six hours. "
            "Check for a throttled GPU, KV cache preemptions, swapping, or another process on the same GPU. Very long "
            "prompts look the same for a while, since they are computed before any output.",
            dashboard="Overview",
            panel="Output tokens per second",
        ),
        Alert(
            name="EngineQueueDepthHigh",
            expr=engine_faults.waiting(_FIVE_MINUTES),
            limit=settings.QUEUE_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"{_ENGINE} has {VALUE} queued requests",
            resolved=f"The queue of {_ENGINE} is short again",
            value_format="humanize",
            description="Requests have arrived faster than the engine computes them for five minutes, and clients wait "
            "for their first token. Check which key or model sends the load.",
            dashboard="Engine",
            panel="Requests running and waiting",
        ),
        Alert(
            name="KvCachePreemptions",
            expr=engine_faults.preemptions(_TEN_MINUTES),
            limit=settings.PREEMPTIONS_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"{_ENGINE} preempted requests {VALUE} times in ten minutes because its KV cache was full",
            resolved=f"{_ENGINE} no longer preempts requests",
            value_format="humanize",
            description="Preempted requests are recomputed from the beginning: the GPU is busy but clients get fewer "
            "tokens. Lower VLLM_MAX_NUM_SEQS or give the KV cache more memory.",
            dashboard="Engine",
            panel="vLLM preemptions",
        ),
    )

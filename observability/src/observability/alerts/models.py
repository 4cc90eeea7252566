"""Alerts on single models: the service levels judge all models together, and do not notice one of many."""

from observability import settings
from observability.alerts.alert import ON_VM, VALUE, Alert
from observability.promql import Scope
from observability.queries.gateway import models

_NOW, _TEN_MINUTES = Scope("5m"), Scope("10m")
_MODEL = "{{ $labels.model }}"


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="ModelUnavailable",
            expr=models.without_ready_engine(_NOW),
            limit=0,
            for_="2m",
            severity="page",
            summary=f"{_MODEL} {ON_VM} has no ready engine: {{{{ $labels.engine }}}} serves it and is not ready",
            resolved=f"{_MODEL} {ON_VM} has a ready engine again",
            description="Every request to this model fails with 503, whatever other engines do, so that /healthz can "
            "still be 200. Check Engine states and the log of the engine.",
            dashboard="Gateway",
            panel="Engine states",
        ),
        Alert(
            name="ModelTtftHigh",
            expr=models.slow_first_tokens_share(
                _TEN_MINUTES, settings.TTFT_SLOW_SECONDS, settings.MIN_SLOW_STREAMS
            ),
            limit=settings.MODEL_SLOW_SHARE_LIMIT,
            for_="5m",
            severity="page",
            summary=f"{VALUE} of the streams of {_MODEL} {ON_VM} waited more than {settings.TTFT_SLOW_SECONDS:g} s "
            "for the first token within the last ten minutes",
            resolved=f"The first token of {_MODEL} {ON_VM} comes in time again",
            value_format="humanizePercentage",
            description="Most users of this model wait, which the burn rates of all models together may not show. A "
            "queue, long prompts, or an engine that is slow. Check Requests running and waiting of its engine.",
            dashboard="Gateway",
            panel="Time to first token by model, p95",
        ),
        Alert(
            name="ModelTpotHigh",
            expr=models.slow_output_share(
                _TEN_MINUTES, settings.TPOT_P95_LIMIT_SECONDS, settings.MIN_SLOW_STREAMS
            ),
            limit=settings.MODEL_SLOW_SHARE_LIMIT,
            for_="5m",
            severity="ticket",
            summary=f"{VALUE} of the streams of {_MODEL} {ON_VM} took more than "
            f"{settings.TPOT_P95_LIMIT_SECONDS * 1000:g} ms for each output token within the last ten minutes",
            resolved=f"The output of {_MODEL} {ON_VM} is fast enough again",
            value_format="humanizePercentage",
            description="Text appears more slowly than people read. Too many requests at a time, a throttled GPU, or "
            "another process on the same GPU or CPU. Check Requests running and waiting of its engine.",
            dashboard="Gateway",
            panel="Time per output token by model, p95",
        ),
    )  # fmt: skip

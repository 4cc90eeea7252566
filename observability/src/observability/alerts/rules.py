"""The alerts that exist."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.dashboards import overview
from observability.promql import Scope
from observability.queries import gateway, stack

_FIVE_MINUTES = Scope("5m")
_DAY_SECONDS = 86400


def every() -> tuple[Alert, ...]:
    """All alerts, the ones that take a person out of bed first."""
    page = overview.dashboard()
    return (
        Alert(
            name="TargetDown",
            expr=stack.down_or_absent(_FIVE_MINUTES),
            limit=0,
            lasting="2m",
            severity="page",
            summary="{{ $labels.job }}{{ with $labels.instance }} ({{ . }}){{ end }} does not answer Prometheus",
            meaning="A part is down, or Prometheus is not told of it any more; while it is blind, nothing else can be "
            "relied on. An engine whose launcher says that it is starting is not counted.",
            dashboard=page,
            panel="Targets",
            fires_when_blind=True,
        ),
        Alert(
            name="FrontDoorShut",
            expr=stack.front_door(_FIVE_MINUTES),
            limit=1,
            below=True,
            lasting="2m",
            severity="page",
            summary="{{ $labels.instance }} does not answer with 200 over TLS",
            meaning="No client gets an answer, or no engine has passed its probe: a load balancer would take this "
            "machine out. Seen from inside the stack's network.",
            dashboard=page,
            panel="Front door",
        ),
        Alert(
            name="RequestsFail",
            expr=gateway.failed_share_of_many(_FIVE_MINUTES, settings.LEAST_REQUESTS_JUDGED),
            limit=settings.ERROR_RATIO_LIMIT,
            lasting="2m",
            severity="page",
            summary=f"{VALUE} of the requests fail",
            value_format="humanizePercentage",
            meaning="Timeouts, engine errors, broken streams and faults of our own, of all requests that we are judged "
            f"by, over 5 minutes with {settings.LEAST_REQUESTS_JUDGED} of them or more. "
            "What clients caused or cancelled is not in it.",
            dashboard=page,
            panel="Share of requests by outcome, without ok",
        ),
        Alert(
            name="FirstTokenSlow",
            expr=gateway.time_to_first_token(_FIVE_MINUTES, 0.95, "model"),
            limit=settings.TTFT_P95_LIMIT_SECONDS,
            lasting="5m",
            severity="ticket",
            summary=f"{{{{ $labels.model }}}}: one reader in twenty waits {VALUE} or more for the first token",
            value_format="humanizeDuration",
            meaning="Streams only, over 5 minutes. A long prompt takes long by itself, a queue takes long for all.",
            dashboard=page,
            panel="Time to first token",
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
            dashboard=page,
            panel="GPU memory",
        ),
        Alert(
            name="CertificateExpires",
            expr=stack.certificate_seconds_left(_FIVE_MINUTES),
            limit=settings.CERTIFICATE_LIMIT_DAYS * _DAY_SECONDS,
            below=True,
            lasting="10m",
            severity="ticket",
            summary=f"The certificate at {{{{ $labels.instance }}}} expires in {VALUE}",
            value_format="humanizeDuration",
            meaning="After that no client connects. Renewal was due and did not happen, or the file is not watched.",
            dashboard=page,
            panel="Certificate",
        ),
    )

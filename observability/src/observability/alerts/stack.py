"""Alerts on the parts of the stack: whether they are there, and what they need to stay."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import hardware, slo, stack

_FIVE_MINUTES = Scope("5m")
_DAY_SECONDS = 86400


def reachable() -> tuple[Alert, ...]:
    """What has to answer."""
    return (
        Alert(
            name="TargetDown",
            expr=stack.down_or_absent(_FIVE_MINUTES),
            limit=0,
            lasting="2m",
            severity="page",
            # Without labels it is the query itself that failed.
            summary="{{ with $labels.job }}{{ . }}{{ with $labels.instance }} ({{ . }}){{ end }} does not answer "
            "Prometheus{{ else }}Prometheus does not answer Grafana{{ end }}",
            meaning="A part is down, or Prometheus is not told of it any more; while it is blind, nothing else can be "
            "relied on. An engine whose launcher says that it is starting is not counted.",
            dashboard="Overview",
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
            dashboard="Overview",
            panel="Front door",
        ),
    )


def housekeeping() -> tuple[Alert, ...]:
    """What has to be seen to before it hurts."""
    return (
        Alert(
            name="ServiceLevelsUnknown",
            expr=slo.unknown(),
            limit=0,
            lasting="5m",
            severity="ticket",
            summary="Prometheus records no service levels",
            meaning="It has not read its rules. The alerts on failing and late requests see nothing, and are silent "
            "whatever happens.",
            dashboard="Overview",
            panel="Targets",
        ),
        Alert(
            name="GatewayWorkersMissing",
            expr=hardware.workers_missing(_FIVE_MINUTES),
            limit=0,
            lasting="2m",
            severity="ticket",
            summary=f"{VALUE} worker(s) of the gateway at {{{{ $labels.instance }}}} are missing",
            value_format="humanize",
            meaning="A worker that dies is started again at once; one that is missing for minutes cannot start. The "
            "others carry its load.",
            dashboard="Gateway",
            panel="Workers",
        ),
        Alert(
            name="EventLoopLags",
            expr=hardware.loop_lag(_FIVE_MINUTES),
            limit=settings.LOOP_LAG_LIMIT_SECONDS,
            lasting="5m",
            severity="ticket",
            summary=f"One timer in twenty of the gateway at {{{{ $labels.instance }}}} is {VALUE} late, or more",
            value_format="humanizeDuration",
            meaning="The gateway itself has no time: every stream through it stutters, whatever the engines do.",
            dashboard="Gateway",
            panel="Lag of the event loop",
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
            dashboard="Overview",
            panel="Certificate",
        ),
    )

"""Alerts on the parts of the stack: whether they are up, and what they need to stay up."""

from observability import settings
from observability.alerts.alert import ON_VM, VALUE, Alert
from observability.promql import Scope
from observability.queries import slo, stack
from observability.queries.gateway import process

_FIVE_MINUTES = Scope("5m")
_TARGET_ON_VM = f"{{{{ $labels.job }}}} ({{{{ $labels.instance }}}}) {ON_VM}"
_DAY_SECONDS = 86400
_ENDPOINT = f"{{{{ $labels.instance }}}} {ON_VM}"
_TARGET = (
    "{{ with $labels.job }}{{ . }}{{ with $labels.instance }} ({{ . }}){{ end }}{{ with $labels.vm }} on VM {{ . }}"
    "{{ end }} %s to Prometheus{{ else }}Prometheus %s to Grafana{{ end }}"
)


def availability() -> tuple[Alert, ...]:
    """Whether targets and the public endpoint respond."""
    return (
        Alert(
            name="TargetDown",
            expr=stack.down_or_absent(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="page",
            # Without labels the query itself failed.
            summary=_TARGET % ("does not respond", "does not respond"),
            resolved=_TARGET % ("responds", "responds"),
            description="The target is down or missing from Prometheus' configuration; while Prometheus is unreachable "
            "no other alert can fire. Engines that their launcher reports as starting are not counted. Check "
            "docker compose ps -a and the log of the target.",
            dashboard="Overview",
            panel="Targets",
            fires_on_error=True,
        ),
        Alert(
            name="EndpointDown",
            expr=stack.endpoint_up(_FIVE_MINUTES),
            limit=1,
            below=True,
            for_="2m",
            severity="page",
            summary=f"{_ENDPOINT} does not respond with 200 over TLS",
            resolved=f"{_ENDPOINT} responds with 200 over TLS again",
            description="Clients get no answers, or no engine is ready, and a load balancer would remove this machine. "
            "Probed from inside the stack's network. Check the status code of /healthz and the log of nginx.",
            dashboard="Overview",
            panel="Front door",
        ),
        Alert(
            name="ScrapeTimeout",
            expr=stack.slow_scrapes(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="ticket",
            summary=f"{_TARGET_ON_VM} serves clients, but took {VALUE} or more for its metrics and was not scraped",
            resolved=f"{_TARGET_ON_VM} is scraped again",
            value_format="humanizeDuration",
            description="Only its metrics are missing: panels and alerts that read them are blind. A page with very "
            "many series, or a machine without free CPU. Check how long the page takes.",
            dashboard="Overview",
            panel="Targets",
        ),
    )


def maintenance() -> tuple[Alert, ...]:
    """What needs attention before clients notice."""
    return (
        Alert(
            name="SloRecordingRulesMissing",
            expr=slo.recording_missing(),
            limit=0,
            for_="5m",
            severity="ticket",
            summary="Prometheus does not record the service levels",
            resolved="Prometheus records the service levels again",
            description="Prometheus has not loaded its recording rules: the burn rate alerts cannot fire, whatever "
            "happens. Check the log of Prometheus.",
            dashboard="Overview",
            panel="Targets",
        ),
        Alert(
            name="GatewayWorkersMissing",
            expr=process.workers_missing_by_instance(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="ticket",
            summary=f"{VALUE} worker(s) of the gateway at {{{{ $labels.instance }}}} {ON_VM} are missing",
            resolved=f"All workers of the gateway at {{{{ $labels.instance }}}} {ON_VM} are up",
            value_format="humanize",
            description="A worker that dies is restarted at once; one that is missing for minutes cannot start. The "
            "remaining workers carry its load. Check the log of the gateway.",
            dashboard="Gateway",
            panel="Workers",
        ),
        Alert(
            name="EventLoopLagHigh",
            expr=process.loop_lag_by_instance(_FIVE_MINUTES),
            limit=settings.LOOP_LAG_LIMIT_SECONDS,
            for_="5m",
            severity="ticket",
            summary=f"p95 event loop lag of the gateway at {{{{ $labels.instance }}}} {ON_VM} is {VALUE}",
            resolved=f"The event loop of the gateway at {{{{ $labels.instance }}}} {ON_VM} runs on time again",
            value_format="humanizeDuration",
            description="The gateway is short of CPU: every stream through it stutters, whatever the engines do. Check "
            "the machine's load and the number of requests in flight.",
            dashboard="Gateway",
            panel="Lag of the event loop",
        ),
        Alert(
            name="CertificateExpiringSoon",
            expr=stack.certificate_seconds_left(_FIVE_MINUTES),
            limit=settings.CERTIFICATE_LIMIT_DAYS * _DAY_SECONDS,
            below=True,
            for_="10m",
            severity="ticket",
            summary=f"The certificate at {_ENDPOINT} expires in {VALUE}",
            resolved=f"The certificate at {_ENDPOINT} was renewed",
            value_format="humanizeDuration",
            description="Clients cannot connect once it has expired. Renewal was due and did not happen, or nginx "
            "still serves the old file. Check the log of the certificate service or of acme.",
            dashboard="Overview",
            panel="Certificate",
        ),
    )

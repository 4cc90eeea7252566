"""Alerts on the parts of the stack: whether they are up, and what they need to stay up."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import slo, stack
from observability.queries.gateway import process

_FIVE_MINUTES = Scope("5m")
_DAY_SECONDS = 86400


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
            summary="{{ with $labels.job }}{{ . }}{{ with $labels.instance }} ({{ . }}){{ end }} does not respond to "
            "Prometheus{{ else }}Prometheus does not respond to Grafana{{ end }}",
            description="The target is down or missing from Prometheus' configuration; while Prometheus is unreachable "
            "no other alert can fire. Engines that their launcher reports as starting are not counted. Check "
            "docker compose ps -a and the log of the target.",
            dashboard="Overview",
            panel="Scrape targets",
            fires_on_error=True,
        ),
        Alert(
            name="EndpointDown",
            expr=stack.endpoint_up(_FIVE_MINUTES),
            limit=1,
            below=True,
            for_="2m",
            severity="page",
            summary="{{ $labels.instance }} does not respond with 200 over TLS",
            description="Clients get no answers, or no engine is ready, and a load balancer would remove this machine. "
            "Probed from inside the stack's network. Check the status code of /healthz and the log of nginx.",
            dashboard="Overview",
            panel="HTTPS health check",
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
            description="Prometheus has not loaded its recording rules: the burn rate alerts cannot fire, whatever "
            "happens. Check the log of Prometheus.",
            dashboard="Overview",
            panel="Scrape targets",
        ),
        Alert(
            name="GatewayWorkersMissing",
            expr=process.workers_missing_by_instance(_FIVE_MINUTES),
            limit=0,
            for_="2m",
            severity="ticket",
            summary=f"{VALUE} worker(s) of the gateway at {{{{ $labels.instance }}}} are missing",
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
            summary=f"p95 event loop lag of the gateway at {{{{ $labels.instance }}}} is {VALUE}",
            value_format="humanizeDuration",
            description="The gateway is short of CPU: every stream through it stutters, whatever the engines do. Check "
            "the machine's load and the number of requests in flight.",
            dashboard="Gateway",
            panel="Event loop lag",
        ),
        Alert(
            name="CertificateExpiringSoon",
            expr=stack.certificate_seconds_left(_FIVE_MINUTES),
            limit=settings.CERTIFICATE_LIMIT_DAYS * _DAY_SECONDS,
            below=True,
            for_="10m",
            severity="ticket",
            summary=f"The certificate at {{{{ $labels.instance }}}} expires in {VALUE}",
            value_format="humanizeDuration",
            description="Clients cannot connect once it has expired. Renewal was due and did not happen, or nginx "
            "still serves the old file. Check the log of the certificate service or of acme.",
            dashboard="Overview",
            panel="Certificate expiry",
        ),
    )

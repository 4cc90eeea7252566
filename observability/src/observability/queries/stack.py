"""The rest of the stack: targets, the public endpoint and its certificate, nginx, GPU memory."""

from observability.promql import Scope, total

# Jobs of every composed stack. A job that is missing from the configuration has no `up` series.
EXPECTED_JOBS = ("gateway", "prometheus", "grafana", "nginx", "node-exporter", "probe")
NGINX_JOB = "nginx"
_ANY = ".+"


def targets_up(scope: Scope) -> str:
    """1 for each job of a VM whose targets all answered their latest scrape."""
    return f"min by (job, vm) ({scope.series('up', _ANY, vm='vm')})"


def targets_down(scope: Scope) -> str:
    """The number of targets that are down, without engines that their launcher reports as starting."""
    return f"count(({scope.series('up', _ANY, vm='vm')} == 0) unless on (job) {_starting()}) or vector(0)"


def down_or_absent(_: Scope) -> str:
    """1 for each target that is down or missing, except engines that their launcher reports as starting."""
    absent = " or ".join(f'absent(up{{job="{job}"}})' for job in EXPECTED_JOBS)
    return f'(1 - up{{job=~".+"}}) unless on (job) {_starting()} or {absent}'


def _starting() -> str:
    starting = 'launcher_state{job=~".+-launcher", state="starting"} == 1'
    return f'label_replace({starting}, "job", "$1", "job", "(.+)-launcher")'


def endpoint_up(scope: Scope) -> str:
    """1 while nginx answers /healthz with 200 over TLS."""
    return f"min by (instance) ({scope.series('probe_success', 'probe', vm='vm')})"


def certificate_seconds_left(scope: Scope) -> str:
    """Seconds until the first certificate of the chain expires."""
    return f"min by (instance) ({scope.series('probe_ssl_earliest_cert_expiry', 'probe', vm='vm')}) - time()"


def nginx_requests(scope: Scope) -> str:
    """Requests per second at nginx, including those to Grafana and those that it rejects."""
    return total(scope.rate(scope.series("nginx_http_requests_total", NGINX_JOB, vm="vm")))


def nginx_own_responses(scope: Scope) -> str:
    """Counters of requests to the API that nginx answered with a 5xx of its own: the gateway did not respond."""
    return scope.series("nginx_own_responses_total", NGINX_JOB, vm="vm")


def nginx_connections(scope: Scope, state: str) -> str:
    """Connections to nginx by state: reading, writing or waiting."""
    return total(scope.series(f"nginx_connections_{state}", NGINX_JOB, vm="vm"))


def nginx_dropped(scope: Scope) -> str:
    """Connections per second that nginx dropped because its limit was reached."""
    accepted, handled = (
        total(scope.rate(scope.series(f"nginx_connections_{kind}", NGINX_JOB, vm="vm")))
        for kind in ("accepted", "handled")
    )
    return f"{accepted} - {handled}"


def vram(scope: Scope, kind: str) -> str:
    """MiB of each GPU; kind is USED, FREE, RESERVED or TOTAL."""
    return total(scope.series(f"DCGM_FI_DEV_FB_{kind}", "gpu-exporter", vm="vm", gpu="gpu"), "gpu", "vm")


def vram_free(scope: Scope) -> str:
    """Free MiB of each GPU."""
    return f"min by (gpu) ({scope.series('DCGM_FI_DEV_FB_FREE', 'gpu-exporter', vm='vm', gpu='gpu')})"

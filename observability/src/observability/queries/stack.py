"""What the rest of the stack says: targets, the front door, its certificate, nginx, the GPU's memory."""

from observability.promql import Scope, total

# Parts that every composed stack has. `up` cannot tell of a job that has left the configuration.
EXPECTED_JOBS = ("gateway", "prometheus", "grafana", "nginx", "node-exporter", "probe")
_ANY = ".+"


def targets(scope: Scope) -> str:
    """1 for each part of a VM all of whose targets answered their latest scrape."""
    return f"min by (job, vm) ({scope.series('up', _ANY, vm='vm')})"


def targets_down(scope: Scope) -> str:
    """How many targets did not answer; an engine whose launcher says "starting" is none of them."""
    return f"count(({scope.series('up', _ANY, vm='vm')} == 0) unless on (job) {_starting()}) or vector(0)"


def down_or_absent(_: Scope) -> str:
    """1 for each target that is down or not scraped at all; an engine whose launcher says "starting" is neither."""
    absent = " or ".join(f'absent(up{{job="{job}"}})' for job in EXPECTED_JOBS)
    return f'(1 - up{{job=~".+"}}) unless on (job) {_starting()} or {absent}'


def _starting() -> str:
    starting = 'launcher_state{job=~".+-launcher", state="starting"} == 1'
    return f'label_replace({starting}, "job", "$1", "job", "(.+)-launcher")'


def front_door(scope: Scope) -> str:
    """1 when nginx answered /healthz with 200 over TLS."""
    return f"min by (instance) ({scope.series('probe_success', 'probe', vm='vm')})"


def certificate_seconds_left(scope: Scope) -> str:
    """Until the first certificate of the chain expires."""
    return f"min by (instance) ({scope.series('probe_ssl_earliest_cert_expiry', 'probe', vm='vm')}) - time()"


def nginx_requests(scope: Scope) -> str:
    """Requests per second that nginx answered: those to Grafana, and those that it refused, are among them."""
    return total(scope.rate(scope.series("nginx_http_requests_total", "nginx", vm="vm")))


def nginx_connections(scope: Scope, state: str) -> str:
    """Connections to nginx: reading, writing or waiting."""
    return total(scope.series(f"nginx_connections_{state}", "nginx", vm="vm"))


def nginx_dropped(scope: Scope) -> str:
    """Connections per second that nginx took and could not serve: its own limit was reached."""
    taken, served = (
        total(scope.rate(scope.series(f"nginx_connections_{what}", "nginx", vm="vm")))
        for what in ("accepted", "handled")
    )
    return f"{taken} - {served}"


def vram(scope: Scope, kind: str) -> str:
    """MiB of each GPU; kind is USED, FREE, RESERVED or TOTAL."""
    return total(scope.series(f"DCGM_FI_DEV_FB_{kind}", "gpu-exporter", vm="vm", gpu="gpu"), "gpu", "vm")


def vram_free(scope: Scope) -> str:
    """MiB that are free on the GPU with the least."""
    return f"min by (gpu) ({scope.series('DCGM_FI_DEV_FB_FREE', 'gpu-exporter', vm='vm', gpu='gpu')})"

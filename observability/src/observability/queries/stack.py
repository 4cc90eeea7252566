"""What the rest of the stack says: targets, the front door, its certificate, the GPU."""

from observability.promql import Scope

# Parts that every composed stack has. `up` cannot tell of a job that has left the configuration.
EXPECTED_JOBS = ("gateway", "prometheus", "grafana", "nginx", "node-exporter", "probe")


def targets(_: Scope) -> str:
    """1 for each target that answered its latest scrape."""
    return 'min by (job, instance) (up{job=~".+"})'


def targets_down(_: Scope) -> str:
    """How many targets did not answer; an engine whose launcher says "starting" is none of them."""
    return f'count((up{{job=~".+"}} == 0) unless on (job) {_starting()}) or vector(0)'


def down_or_absent(_: Scope) -> str:
    """1 for each target that is down or not scraped at all; an engine whose launcher says "starting" is neither."""
    absent = " or ".join(f'absent(up{{job="{job}"}})' for job in EXPECTED_JOBS)
    return f'(1 - up{{job=~".+"}}) unless on (job) {_starting()} or {absent}'


def _starting() -> str:
    starting = 'launcher_state{job=~".+-launcher", state="starting"} == 1'
    return f'label_replace({starting}, "job", "$1", "job", "(.+)-launcher")'


def front_door(_: Scope) -> str:
    """1 when nginx answered /healthz with 200 over TLS."""
    return 'min by (instance) (probe_success{job="probe"})'


def certificate_seconds_left(_: Scope) -> str:
    """Until the first certificate of the chain expires."""
    return 'min by (instance) (probe_ssl_earliest_cert_expiry{job="probe"}) - time()'


def vram(_: Scope, kind: str) -> str:
    """MiB of each GPU; kind is USED, FREE, RESERVED or TOTAL."""
    return f'sum by (gpu) (DCGM_FI_DEV_FB_{kind}{{job="gpu-exporter"}})'


def vram_free(_: Scope) -> str:
    """MiB that are free on the GPU with the least."""
    return 'min by (gpu) (DCGM_FI_DEV_FB_FREE{job="gpu-exporter"})'

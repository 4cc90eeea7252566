"""The rest of the stack: targets, the public endpoint and its certificate, nginx, GPU memory."""

from collections.abc import Iterator

from observability import downsampling, settings
from observability.promql import Scope, share, total

# Jobs of every VM with a composed stack. A job that is missing from the configuration has no `up` series.
JOBS_OF_A_STACK = ("gateway", "nginx", "node-exporter", "probe")
# A VM with one of these runs a stack; one with only engines and exporters does not.
_MARKS_OF_A_STACK = ("gateway", "nginx", "probe")
# One Prometheus can scrape several VMs, and then runs on one of them, or elsewhere.
JOBS_OF_PROMETHEUS = ("prometheus", "grafana")
EXPECTED_JOBS = (*JOBS_OF_A_STACK, *JOBS_OF_PROMETHEUS)
_ENGINES = "vllm|llamacpp"
NGINX_JOB = "nginx"
_ANY = ".+"
# Health checks of each step, recorded (`recording.dashboards`).
PROBES = "instance:probes:count1m"
PROBES_PASSED = "instance:probes_passed:count1m"


def targets_up(scope: Scope) -> str:
    """1 for each job of a VM whose targets all answered their latest scrape; over time, every scrape."""
    return f"min by (job, vm) ({scope.lowest(scope.series('up', _ANY, vm='vm'))})"


def targets_down(scope: Scope) -> str:
    """The number of targets that are down, without engines that their launcher reports as starting."""
    return f"count(({scope.series('up', _ANY, vm='vm')} == 0) unless on (job, vm) {_starting()}) or vector(0)"


def down_or_absent(_: Scope) -> str:
    """1 for each target that is down or missing.

    Left out are engines that their launcher reports as starting, and targets that only answer Prometheus too slowly.
    """
    served = f"unless on (job, vm) {_starting()} unless on (job, instance, vm) ({_slow()})"
    return f'(1 - up{{job=~".+"}}) {served} or {" or ".join(_absent())}'


def slow_scrapes(_: Scope) -> str:
    """Seconds that the scrape of a target took until it was given up, while clients are served."""
    return _slow()


def _absent() -> Iterator[str]:
    """1 for each job that Prometheus does not scrape and should."""
    # A drill adds a gateway of its own, and no stack.
    stack = f'up{{job=~"{"|".join(_MARKS_OF_A_STACK)}", vm!="{settings.DRILL_VM}"}}'
    yield f'label_replace(absent({stack}), "job", "{_MARKS_OF_A_STACK[0]}", "", "")'
    for job in JOBS_OF_A_STACK:
        missing = f'max by (vm) ({stack}) * 0 + 1 unless on (vm) up{{job="{job}"}}'
        yield f'label_replace({missing}, "job", "{job}", "", "")'
    for job in JOBS_OF_PROMETHEUS:
        yield f'absent(up{{job="{job}"}})'


def _starting() -> str:
    starting = 'launcher_state{job=~".+-launcher", state="starting"} == 1'
    return f'label_replace({starting}, "job", "$1", "job", "(.+)-launcher")'


def _slow() -> str:
    """Engines that the gateway finds ready, and other targets while the endpoint responds."""
    # A scrape that is given up takes a little longer or shorter than its timeout.
    given_up = f"scrape_duration_seconds{{%s}} >= {settings.SCRAPE_TIMEOUT_SECONDS * 0.95:g} and up{{%s}} == 0"
    engines, others = (given_up % (matcher, matcher) for matcher in (f'job=~"{_ENGINES}"', 'job=~".+"'))
    ready = 'max by (vm, engine) (gateway_engine_state{job="gateway", state="ready"}) == 1'
    responds = 'max by (vm) (probe_success{job="probe"}) == 1'
    return (
        f'({engines}) and on (job, vm) label_replace({ready}, "job", "$1", "engine", "(.+)") or '
        f'({others} unless up{{job=~"{_ENGINES}|probe"}}) and on (vm) ({responds})'
    )


def endpoint_up(scope: Scope) -> str:
    """1 while nginx answers /healthz with 200 over TLS."""
    return f"min by (instance, vm) ({scope.lowest(_health_checks(scope))})"


def endpoint_up_share(scope: Scope) -> str:
    """The share of health checks that passed, of the worst endpoint, from recorded counts."""
    passed, all_probes = (_probes(scope, name) for name in (PROBES_PASSED, PROBES))
    return f"min({share(passed, all_probes)})"


def probes_passed(scope: Scope) -> str:
    """How many health checks of each endpoint passed in the window."""
    return total(f"sum_over_time({scope.over(_health_checks(scope))})", "instance", "vm")


def probes(scope: Scope) -> str:
    """How many health checks of each endpoint there were in the window."""
    return total(f"count_over_time({scope.over(_health_checks(scope))})", "instance", "vm")


def certificate_seconds_left(scope: Scope) -> str:
    """Seconds until the first certificate of the chain expires."""
    return f"min by (instance, vm) ({scope.series('probe_ssl_earliest_cert_expiry', 'probe', vm='vm')}) - time()"


def nginx_requests(scope: Scope) -> str:
    """Requests per second at nginx, including those to Grafana and those that it rejects."""
    return total(scope.rate(scope.series("nginx_http_requests_total", NGINX_JOB, vm="vm")))


def nginx_own_responses(scope: Scope) -> str:
    """Counters of requests to the API that nginx answered with a 5xx of its own: the gateway did not respond."""
    return scope.series("nginx_own_responses_total", NGINX_JOB, vm="vm")


def nginx_own_responses_by_code(scope: Scope) -> str:
    """Their number in the window, by VM and code."""
    return f"round({total(f'increase({nginx_own_responses(scope)}[{scope.window}])', 'vm', 'code')})"


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


def vram_free(scope: Scope) -> str:
    """Free MiB of each GPU."""
    return f"min by (gpu, vm) ({scope.series('DCGM_FI_DEV_FB_FREE', 'gpu-exporter', vm='vm', gpu='gpu')})"


def _health_checks(scope: Scope) -> str:
    return scope.series("probe_success", "probe", vm="vm")


def _probes(scope: Scope, name: str) -> str:
    return downsampling.count(scope, name, by=("instance", "vm"), vm="vm")

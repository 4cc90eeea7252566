"""What nginx, its exporter and the probe expose: of the local VM with the restarts of its gateway."""

from collections.abc import Sequence
from itertools import pairwise

from tests.support.truth import traffic
from tests.support.truth.samples import Changes
from tests.support.truth.targets.counters import Target
from tests.support.truth.traffic import Request

_NGINX = 'job="nginx",instance="nginx-exporter:9113",vm="{vm}"'
_PROBE = 'job="probe",instance="https://nginx/healthz",vm="{vm}"'
CONNECTIONS = {"reading": 1, "writing": 3, "waiting": 12}
# A certificate's end, and connections a second.
EXPIRES_AFTER_S, ACCEPTED, DROPPED = 40 * traffic.DAY, 0.5, 0.125


def scrapes(requests: Sequence[Request], times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    found: Changes = {}
    for vm in traffic.VMS:
        restarts = [each for each in traffic.RESTARTS if vm == traffic.LOCAL and each.start > times[0]]
        found |= _nginx(vm, [each.ended for each in requests if each.vm == vm], restarts, times)
        probe = Target(_PROBE.format(vm=vm), times)
        probe.set(times[0], "probe_success", 1)
        probe.set(times[0], "probe_ssl_earliest_cert_expiry", traffic.ASKED_AT + EXPIRES_AFTER_S)
        for restart in restarts:
            probe.set(restart.start, "probe_success", 0)
            probe.set(restart.end, "probe_success", 1)
        found |= probe.changes(_PROBE.format(vm=vm))
    return found


def _nginx(vm: str, ended: Sequence[float], restarts: Sequence[traffic.Restart], times: Sequence[int]) -> Changes:
    target = _NGINX.format(vm=vm)
    nginx = Target(target, times)
    nginx.declare("nginx_http_requests_total", "")
    nginx.declare("nginx_own_responses_total", 'code="502"')
    nginx.declare("nginx_connections_accepted")
    nginx.declare("nginx_connections_handled")
    for at in ended:
        nginx.add(at, "nginx_http_requests_total", 1)
    for restart in restarts:
        nginx.add(restart.end, "nginx_own_responses_total", restart.nginx_responses, 'code="502"')
    for before, at in pairwise(times):
        nginx.add(at, "nginx_connections_accepted", ACCEPTED * (at - before))
        nginx.add(at, "nginx_connections_handled", (ACCEPTED - DROPPED) * (at - before))
    for state, number in CONNECTIONS.items():
        nginx.set(times[0], f"nginx_connections_{state}", number)
    return nginx.changes(target)

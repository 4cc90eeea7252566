"""What node-exporter, the privacy canary and the parts' own processes expose."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.support.truth import traffic
from tests.support.truth.samples import Changes
from tests.support.truth.targets.counters import Target
from tests.support.truth.traffic import Outage

from gateway.telemetry.metrics import LAG_BUCKETS


@dataclass(frozen=True)
class Machine:
    """What is known of a VM.

    Attributes:
        cpus: of it, and the share of them that is `busy`.
        memory_used: a share, with a minute of `memory_peak`.
        disk_free: a share, with a minute of `disk_low`.
        skew: seconds between its clock and Prometheus'.
        ooms: kills.
        rates: bytes a second, by counter of node-exporter.
    """

    cpus: int
    busy: float
    memory_used: float
    memory_peak: float
    disk_free: float
    disk_low: float
    skew: float
    ooms: int
    rates: dict[str, int]


def _rates(scale: int) -> dict[str, int]:
    counters = (
        "node_disk_read_bytes_total", "node_disk_written_bytes_total", "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
    )  # fmt: skip
    return {name: scale * 1000 * number for number, name in enumerate(counters, start=1)}


MACHINES = {
    traffic.LOCAL: Machine(4, 0.25, 0.5, 0.875, 0.5, 0.125, 0.5, 2, _rates(1)),
    traffic.REMOTE: Machine(2, 0.125, 0.25, 0.75, 0.75, 0.25, -1.5, 1, _rates(8)),
}
# Of the gateway's process.
CPU_CORES, MEMORY_BYTES, SCRAPE_S, LOOP_LAG_S = 0.0625, 150e6, 0.03125, 0.007
_LOOP_LAG = "gateway_event_loop_lag_seconds"
VERSIONS = {
    "gateway": ("gateway_build_info", "1.2.3"), "prometheus": ("prometheus_build_info", "2.42.0"),
    "node-exporter": ("node_exporter_build_info", "1.5.0"), "nginx": ("nginx_exporter_build_info", "0.11.0"),
}  # fmt: skip
CANARY_PLACES, CANARY_AGE_S = ("log:gateway", "metrics:gateway"), 400
_PEAK_AT = traffic.ASKED_AT - 2.6 * traffic.HOUR
BYTES = 2**34
_DEVICES = {"disk": 'device="sda"', "network": 'device="eth0"'}
# Devices that are no disks of their own, and no network.
_OTHER_DEVICES = {"disk": 'device="loop0"', "network": 'device="lo"'}


def scrapes(times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    found: Changes = {}
    for vm, machine in MACHINES.items():
        found |= _node(vm, machine, times) | _processes(vm, times) | _canary(vm, times)
    return found


def _node(vm: str, machine: Machine, times: Sequence[int]) -> Changes:
    target = f'job="node-exporter",instance="node-exporter:9100",vm="{vm}"'
    node = Target(target, times)
    cpus = [f'cpu="{number}",mode="{mode}"' for number in range(machine.cpus) for mode in ("idle", "user")]
    node.declare("node_cpu_seconds_total", *cpus)
    for name in machine.rates:
        kind = name.split("_")[1]
        node.declare(name, _DEVICES[kind], _OTHER_DEVICES[kind])
    node.declare("node_vmstat_oom_kill")
    node.add(_PEAK_AT, "node_vmstat_oom_kill", machine.ooms)
    for before, now in pairwise(times):
        pause = now - before
        for labels in cpus:
            share = machine.busy if "user" in labels else 1 - machine.busy
            node.add(now, "node_cpu_seconds_total", share * pause, labels)
        for name, rate in machine.rates.items():
            kind = name.split("_")[1]
            node.add(now, name, rate * pause, _DEVICES[kind])
            node.add(now, name, 9 * rate * pause, _OTHER_DEVICES[kind])
    for at in times:
        node.set(at, "node_time_seconds", at + machine.skew)
    disk = 'device="/dev/sda1",fstype="ext4",mountpoint="/"'
    node.set(times[0], "node_memory_MemTotal_bytes", BYTES)
    node.set(times[0], "node_filesystem_size_bytes", BYTES, disk)
    for moment, used, free in (
        (times[0], machine.memory_used, machine.disk_free), (_PEAK_AT, machine.memory_peak, machine.disk_low),
        (_PEAK_AT + 60, machine.memory_used, machine.disk_free),
    ):  # fmt: skip
        if moment >= times[0]:
            node.set(moment, "node_memory_MemAvailable_bytes", (1 - used) * BYTES)
            node.set(moment, "node_filesystem_avail_bytes", free * BYTES, disk)
    return node.changes(target)


def _processes(vm: str, times: Sequence[int]) -> Changes:
    found: Changes = {}
    gateway = f'job="gateway",instance="api:9091",vm="{vm}"'
    restarts = [
        Outage("gateway", "down", each.start, each.end) for each in traffic.RESTARTS if vm == traffic.LOCAL
    ]  # fmt: skip
    process = Target(gateway, times, restarts)
    process.declare("gateway_process_cpu_seconds_total")
    process.declare_histogram(_LOOP_LAG, LAG_BUCKETS)
    for before, now in pairwise(times):
        process.add(now, "gateway_process_cpu_seconds_total", CPU_CORES * (now - before))
        process.observe(now, _LOOP_LAG, LOOP_LAG_S, LAG_BUCKETS)
    for at in (times[0], *(each.end for each in restarts)):
        process.set(at, "gateway_process_resident_memory_bytes", MEMORY_BYTES)
        process.set(at, "scrape_duration_seconds", SCRAPE_S)
    # Whether the gateway is up is known by its own samples.
    found |= {series: values for series, values in process.changes(gateway).items() if series[0] != "up"}
    for job, (name, version) in VERSIONS.items():
        info = f'job="{job}",instance="{job}",vm="{vm}",version="{version}"'
        found[name, info] = [(times[0], 1.0)]
    return found


def _canary(vm: str, times: Sequence[int]) -> Changes:
    target = f'job="privacy-canary",instance="privacy-canary:9400",vm="{vm}"'
    canary = Target(target, times)
    for place in CANARY_PLACES:
        canary.set(times[0], "privacy_canary_found", 0, f'place="{place}"')
        canary.set(times[0], "privacy_canary_readable", 1, f'place="{place}"')
    canary.set(times[0], "privacy_canary_last_run_timestamp_seconds", traffic.ASKED_AT - CANARY_AGE_S)
    return canary.changes(target)

"""What the queries of machines and processes should show, on the Overview and on the Gateway dashboard."""

from tests.support.truth import combined, seen
from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.engine_traffic import PROBE
from tests.support.truth.measures import Measure
from tests.support.truth.overview import COURSE, DAY, MINUTE, Table, around, cell, now, recent
from tests.support.truth.targets import machines as known
from tests.support.truth.targets.machines import MACHINES

from gateway.telemetry.metrics import LAG_BUCKETS

_GPU = "gpu vm"


def _rate(counter: str, device: str) -> Compared:
    return around(seen.increase(counter, "vm", device=device), per_second=True)


def _memory_of_gpus() -> Table:
    free = seen.lowest("DCGM_FI_DEV_FB_FREE", _GPU)
    return {
        ("Free GPU memory", "Free GPU memory"): now(seen.latest("DCGM_FI_DEV_FB_FREE", across=min)),
        ("GPU memory", "{{vm}} GPU {{gpu}} used"): cell(seen.highest("DCGM_FI_DEV_FB_USED", _GPU)),
        ("GPU memory", "{{vm}} GPU {{gpu}} reserved"): cell(seen.highest("DCGM_FI_DEV_FB_RESERVED", _GPU)),
        ("GPU memory", "{{vm}} GPU {{gpu}} free"): cell(free),
    }


def _versions() -> Compared:
    names = [*(name for name, _ in known.VERSIONS.values()), "launcher_engine_info"]
    return now(combined.either(seen.latest(name, "job version vm", max) for name in names))


MACHINES_ON_OVERVIEW: Table = {
    **_memory_of_gpus(),
    ("Certificate expiry", "Certificate expiry"): now(
        combined.scaled(combined.since(seen.latest("probe_ssl_earliest_cert_expiry", across=min)), -1 / DAY)
    ),
    ("CPU and memory usage", "{{vm}} CPU"): cell(combined.of_vms({vm: each.busy for vm, each in MACHINES.items()})),
    ("CPU and memory usage", "{{vm}} memory"): cell(
        combined.complement(combined.scaled(seen.lowest("node_memory_MemAvailable_bytes", "vm"), 1 / known.BYTES))
    ),
    ("Free disk space", "{{vm}} {{mountpoint}}"): cell(
        combined.scaled(seen.lowest("node_filesystem_avail_bytes", "vm mountpoint"), 1 / known.BYTES)
    ),
    ("Scrape targets", "{{job}} {{vm}}"): around(seen.lowest("up", "job vm", min)),
    ("Versions", "Running"): _versions(),
    ("Disk I/O", "{{vm}} read"): _rate("node_disk_read_bytes_total", "sda"),
    ("Disk I/O", "{{vm}} written"): _rate("node_disk_written_bytes_total", "sda"),
    ("Network I/O", "{{vm}} received"): _rate("node_network_receive_bytes_total", "eth0"),
    ("Network I/O", "{{vm}} sent"): _rate("node_network_transmit_bytes_total", "eth0"),
    ("OOM kills", "{{vm}}"): around(seen.increase("node_vmstat_oom_kill", "vm")),
    ("Clock skew", "{{vm}}"): now(combined.of_vms({vm: each.skew for vm, each in MACHINES.items()})),
}
# The same in every scrape, so that each quantile is in its bucket.
_LOOP_LAG = Measure(lambda *_: {"": known.LOOP_LAG_S}, "quantile", "", LAG_BUCKETS)
_LOOP_LAG_TILE = "Event loop lag p99 (5m)"
MACHINES_ON_GATEWAY: Table = {
    (_LOOP_LAG_TILE, _LOOP_LAG_TILE): recent(_LOOP_LAG),
    (_LOOP_LAG_TILE, COURSE): cell(_LOOP_LAG),
    **{("Event loop lag", f"p{number}"): cell(_LOOP_LAG) for number in (50, 95, 99)},
    ("Scrape duration", "{{vm}}"): around(seen.highest("scrape_duration_seconds", "vm", job="gateway")),
    ("Gateway CPU usage", "{{vm}}"): around(seen.increase("gateway_process_cpu_seconds_total", "vm"), per_second=True),
    ("Gateway CPU usage", "workers (one core each)"): now(seen.highest("gateway_workers_expected")),
    ("Gateway memory", "{{vm}}"): around(seen.highest("gateway_process_resident_memory_bytes", "vm")),
    ("nginx vs gateway requests", "nginx"): around(seen.increase("nginx_http_requests_total"), per_second=True),
    ("nginx connections", "reading"): now(seen.highest("nginx_connections_reading")),
    ("nginx connections", "writing"): now(seen.highest("nginx_connections_writing")),
    ("nginx connections", "idle"): now(seen.highest("nginx_connections_waiting")),
    ("nginx connections", "dropped"): around(
        combined.minus(seen.increase("nginx_connections_accepted"), seen.increase("nginx_connections_handled")),
        per_second=True,
    ),
    ("Privacy canary", "Found"): now(seen.latest("privacy_canary_found", "place vm")),
    ("Privacy canary", "Readable"): now(seen.latest("privacy_canary_readable", "place vm")),
    ("Time since complete canary run", "Time since complete canary run"): now(
        combined.since(seen.latest("privacy_canary_last_run_timestamp_seconds", "vm"))
    ),
    ("Engine probes per minute", "{{engine}} {{result}}"): around(
        combined.at_engines(m.total(lambda request: request.route == PROBE, by="engine result")),
        per_second=True, factor=MINUTE,
    ),
}  # fmt: skip

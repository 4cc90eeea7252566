"""What the GPU exporter reports, under DCGM's names and in its units: MiB, MHz, millijoules, percent from 0 to 100."""

from observability import downsampling, settings
from observability.promql import Scope, share, total
from observability.queries import node, vllm

JOB = "gpu-exporter"
GPU_LABELS = ("gpu", "vm")  # every VM numbers its GPUs from 0
INSTANCE_LABELS = ("GPU_I_PROFILE", "GPU_I_ID")
# What throttles a GPU unintentionally. The power limit is left out: an L4 under load is always at it.
_THROTTLE_EVENTS = "hw_slowdown|hw_thermal|hw_power_brake|sw_thermal"
# Fields that Prometheus records of each GPU (`recording.gpu`): the highest values, the means, what counters gained.
HIGHEST = ("PCIE_RX_THROUGHPUT", "PCIE_TX_THROUGHPUT", "GPU_TEMP", "MEMORY_TEMP")
MEANS = (
    *("GPU_UTIL", "MEM_COPY_UTIL", "SM_CLOCK", "MEM_CLOCK", "POWER_USAGE", "ENFORCED_POWER_LIMIT"),
    *("ENC_UTIL", "DEC_UTIL"),
)
ENERGY = "TOTAL_ENERGY_CONSUMPTION"
COUNTERS = ("PCIE_REPLAY_COUNTER", "POWER_VIOLATION", "THERMAL_VIOLATION", ENERGY)
CLOCK_EVENTS = "gpu:clock_event_active:max15s"
COLLECT_SECONDS = "vm:gpu_collect_duration_seconds:max15s"
XIDS = "gpu:xid_errors:increase1m"
DATA_AGE, CLOCK_SKEW = "vm:gpu_data_age_seconds:max15s", "vm:gpu_clock_skew_seconds:avg15s"
STEP_SECONDS, COUNTER_STEP_SECONDS = settings.EVALUATION_INTERVAL_SECONDS, 60
_LABELS = {"gpu": "gpu", "vm": "vm"}
_THOUSAND, _MILLION, _BILLION = 1_000, 1_000_000, 1_000_000_000


def field(scope: Scope, name: str) -> str:
    """A selector of one of DCGM's fields, by its name without the prefix."""
    return scope.series(f"DCGM_FI_DEV_{name}", JOB, vm="vm", gpu="gpu")


def recorded(name: str) -> str:
    """The series that is recorded of a field of HIGHEST, MEANS or COUNTERS.

    Raises:
        ValueError: the field is not recorded.
    """
    kinds = ((HIGHEST, "max15s"), (MEANS, "avg15s"), (COUNTERS, "increase1m"))
    for names, kind in kinds:
        if name in names:
            return f"gpu:{name.lower()}:{kind}"
    raise ValueError(f"{name} is not recorded.")


def per_gpu(scope: Scope, name: str, *by: str) -> str:
    """A field of each GPU; over time, its highest value."""
    if scope.interval:
        return downsampling.over_time(scope, recorded(name), _of_each_gpu(), **_LABELS)
    return f"{_of_each_gpu(*by)} ({scope.highest(field(scope, name))})"


def mean_per_gpu(scope: Scope, name: str, *by: str) -> str:
    """A field of each GPU; over time, its mean."""
    if scope.interval:
        return downsampling.over_time(scope, recorded(name), _of_each_gpu(), **_LABELS)
    value = f"avg_over_time({scope.over(field(scope, name))})" if scope.extremes else field(scope, name)
    return f"{_of_each_gpu(*by)} ({value})"


def pcie_bytes_per_second(scope: Scope, direction: str) -> str:
    """PCIe throughput of each GPU as bytes per second, its highest sample; direction is TX (sent) or RX."""
    return f"{per_gpu(scope, f'PCIE_{direction}_THROUGHPUT')} * {_THOUSAND}"


def pcie_replays(scope: Scope) -> str:
    """PCIe packets per second that were sent again."""
    return downsampling.per_second(scope, recorded("PCIE_REPLAY_COUNTER"), by=GPU_LABELS, **_LABELS)


def instance_memory(scope: Scope, kind: str) -> str:
    """MiB of each instance of partitioned (MIG) GPUs; kind is USED or FREE, over time the fullest moment."""
    selector = scope.series(f"DCGM_FI_DEV_FB_{kind}", JOB, 'GPU_I_ID!=""', vm="vm", gpu="gpu")
    value = scope.lowest(selector) if kind == "FREE" else scope.highest(selector)
    return f"max by ({', '.join((*GPU_LABELS, *INSTANCE_LABELS))}) ({value})"


def temperatures(scope: Scope) -> str:
    """Degrees Celsius of each GPU's core and, where the card reports it, of its memory, by `sensor`."""
    sensors = (("core", "GPU_TEMP"), ("memory", "MEMORY_TEMP"))
    named = (f'label_replace({per_gpu(scope, name)}, "sensor", "{sensor}", "", "")' for sensor, name in sensors)
    return " or ".join(named)


def memory(scope: Scope, kind: str) -> str:
    """MiB of each GPU, summed over the instances of a partitioned one; kind is USED, FREE, RESERVED or TOTAL.

    Over time, the fullest moment.
    """
    selector = field(scope, f"FB_{kind}")
    return total(scope.lowest(selector) if kind == "FREE" else scope.highest(selector), *GPU_LABELS)


def power_share(scope: Scope) -> str:
    """Power draw relative to the enforced limit."""
    return share(mean_per_gpu(scope, "POWER_USAGE"), mean_per_gpu(scope, "ENFORCED_POWER_LIMIT"))


def hertz(scope: Scope, clock: str, *by: str) -> str:
    """A clock of each GPU, SM or MEM; over time, its mean."""
    return f"{mean_per_gpu(scope, f'{clock}_CLOCK', *by)} * {_MILLION}"


def throttled_time(scope: Scope, cause: str) -> str:
    """The share of time in which a GPU ran below the requested clock; cause is POWER or THERMAL."""
    return f"{downsampling.per_second(scope, recorded(f'{cause}_VIOLATION'), by=GPU_LABELS, **_LABELS)} / {_BILLION}"


def throttled_share(scope: Scope) -> str:
    """The share of the window in which heat or a fault throttled a GPU, by clock event."""
    active = _exporter(scope, "gpu_clock_event_active", f'clock_event=~"{_THROTTLE_EVENTS}"')
    return f"max by (gpu, vm, clock_event) (avg_over_time({active}[{scope.window}]))"


def clock_events(scope: Scope) -> str:
    """1 while a clock event throttles a GPU; over time, if it did at all."""
    active = scope.highest(_exporter(scope, "gpu_clock_event_active", gpu="gpu"))
    return downsampling.gauge(scope, CLOCK_EVENTS, "max by (gpu, vm, clock_event)", active, **_LABELS)


def missing(scope: Scope) -> str:
    """Expected GPUs that are not visible."""
    expected, visible = (total(_exporter(scope, f"gpu_exporter_gpus_{kind}")) for kind in ("expected", "visible"))
    return f"{expected} - {visible}"


def lost(scope: Scope) -> str:
    """Expected GPUs that cannot be read, of each exporter; at least 1 while it cannot read all of them."""
    expected, visible = (_exporter(scope, f"gpu_exporter_gpus_{kind}") for kind in ("expected", "visible"))
    return f"clamp_min({expected} - {visible}, 1) and on (job, instance, vm) {_exporter(scope, 'gpu_up')} == 0"


def is_replay(scope: Scope) -> str:
    """1 where the exporter replays a recording instead of reading a GPU."""
    return f"max({_exporter(scope, 'gpu_exporter_replay')})"


def data_age(scope: Scope) -> str:
    """Seconds from the exporter's last reading of its GPUs to the scrape, both by the clock of its VM.

    Without node-exporter nobody knows that clock: below 0 it is then ahead of Prometheus' clock.
    """
    if scope.interval:
        return downsampling.over_time(scope, DATA_AGE, "max by (vm)", vm="vm")
    age = age_at_scrape(scope)
    return f"{age} + on (vm) ({clock_skew(scope)}) or {age}"


def clock_skew(scope: Scope) -> str:
    """Seconds by which the clock of a VM with GPUs is ahead of Prometheus' clock; over time, the mean."""
    if scope.interval:
        return downsampling.over_time(scope, CLOCK_SKEW, "max by (vm)", vm="vm")
    return f"{node.clock_skew(scope)} and on (vm) {_exporter(scope, 'gpu_exporter_replay')}"


def age_at_scrape(scope: Scope) -> str:
    """Seconds from the exporter's last reading of its GPUs to the scrape; below 0 the exporter's clock is ahead.

    Empty where a recording is played back.
    """
    read_at = _exporter(scope, "gpu_exporter_last_success_timestamp_seconds")
    live = f"unless on (job, instance, vm) {_exporter(scope, 'gpu_exporter_replay')} == 1"
    return f"max by (vm) ((timestamp({read_at}) - {read_at}) {live})"


def collect_seconds(scope: Scope) -> str:
    """How long reading all GPUs takes; over time, the longest."""
    seconds = scope.highest(_exporter(scope, "gpu_exporter_collect_duration_seconds"))
    return downsampling.gauge(scope, COLLECT_SECONDS, "max by (vm)", seconds, vm="vm")


def xids(scope: Scope) -> str:
    """XID errors in the window by code; empty when there were none."""
    return f"{downsampling.gained(scope, XIDS, xid_errors(scope), *GPU_LABELS, 'xid', **_LABELS)} > 0"


def xid_errors(scope: Scope) -> str:
    """Counters of XID errors."""
    return _exporter(scope, "gpu_xid_errors_total", gpu="gpu")


def critical_xids(scope: Scope) -> str:
    """XID errors of the GPU itself in the window, by GPU and code."""
    errors = _exporter(scope, "gpu_xid_errors_total", f'xid=~"{"|".join(map(str, settings.CRITICAL_XIDS))}"')
    # The exporter exports these codes from zero, so that the first error is an increase. `increase` extrapolates to the
    # edges of its window: a little more than a whole number.
    return total(f"round(increase({errors}[{scope.window}]))", *GPU_LABELS, "xid")


def processes(scope: Scope) -> str:
    """Bytes of GPU memory of each process."""
    return total(_exporter(scope, "gpu_process_memory_bytes", gpu="gpu"), *GPU_LABELS, "name", "pid")


def joules(scope: Scope) -> str:
    """Energy of all GPUs in the window, from their counters: no peak between two scrapes is missed."""
    return f"{downsampling.gained(scope, recorded(ENERGY), field(scope, ENERGY), **_LABELS)} / {_THOUSAND}"


def joules_per_token(scope: Scope, at_least: int) -> str:
    """Energy of the GPUs per token generated by vLLM; empty where these are too few to share idle energy.

    Args:
        scope: the window.
        at_least: how many tokens are enough.
    """
    tokens = vllm.gained(scope, "generation_tokens_total")
    return f"{share(f'({joules(scope)})', tokens)} and on () {tokens_of_users(scope)} >= {at_least}"


def tokens_of_users(scope: Scope) -> str:
    """Tokens that vLLM generated in the window beyond each request's first, so that a probe counts for nothing."""
    generated, first = (
        vllm.gained(scope, counter) for counter in ("generation_tokens_total", "time_to_first_token_seconds_count")
    )
    return f"({generated} - {first})"


def _of_each_gpu(*by: str) -> str:
    return f"max by ({', '.join((*GPU_LABELS, *by))})"


def _exporter(scope: Scope, name: str, *matchers: str, **labels: str) -> str:
    return scope.series(name, JOB, *matchers, vm="vm", **labels)

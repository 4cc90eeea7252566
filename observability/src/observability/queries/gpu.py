"""What the GPU exporter reports, under DCGM's names and in its units: MiB, MHz, millijoules, percent from 0 to 100."""

from observability import settings
from observability.promql import Scope, share, total
from observability.queries import vllm

JOB = "gpu-exporter"
GPU_LABELS = ("gpu", "vm")  # every VM numbers its GPUs from 0
# What throttles a GPU unintentionally. The power limit is left out: an L4 under load is always at it.
_THROTTLE_EVENTS = "hw_slowdown|hw_thermal|hw_power_brake|sw_thermal"
_THOUSAND, _MILLION, _BILLION = 1_000, 1_000_000, 1_000_000_000


def field(scope: Scope, name: str) -> str:
    """A selector of one of DCGM's fields, by its name without the prefix."""
    return scope.series(f"DCGM_FI_DEV_{name}", JOB, vm="vm", gpu="gpu")


def per_gpu(scope: Scope, name: str, *by: str) -> str:
    """A field of each GPU."""
    return f"max by ({', '.join((*GPU_LABELS, *by))}) ({field(scope, name)})"


def memory(scope: Scope, kind: str) -> str:
    """MiB of each GPU, summed over the instances of a partitioned one; kind is USED, FREE, RESERVED or TOTAL."""
    return total(field(scope, f"FB_{kind}"), *GPU_LABELS)


def power_share(scope: Scope) -> str:
    """Power draw relative to the enforced limit."""
    return share(per_gpu(scope, "POWER_USAGE"), per_gpu(scope, "ENFORCED_POWER_LIMIT"))


def hertz(scope: Scope, clock: str, *by: str) -> str:
    """A clock of each GPU: SM or MEM."""
    return f"{per_gpu(scope, f'{clock}_CLOCK', *by)} * {_MILLION}"


def throttled_time(scope: Scope, cause: str) -> str:
    """The share of time in which a GPU ran below the requested clock; cause is POWER or THERMAL."""
    return f"max by (gpu, vm) ({scope.rate(field(scope, f'{cause}_VIOLATION'))}) / {_BILLION}"


def throttled_share(scope: Scope) -> str:
    """The share of the window in which heat or a fault throttled a GPU, by clock event."""
    active = _exporter(scope, "gpu_clock_event_active", f'clock_event=~"{_THROTTLE_EVENTS}"')
    return f"max by (gpu, vm, clock_event) (avg_over_time({active}[{scope.window}]))"


def clock_events(scope: Scope) -> str:
    """1 while a clock event throttles a GPU."""
    return f"max by (gpu, vm, clock_event) ({_exporter(scope, 'gpu_clock_event_active', gpu='gpu')})"


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
    """Seconds since the exporter last read its GPUs."""
    return f"time() - min by (vm) ({_exporter(scope, 'gpu_exporter_last_success_timestamp_seconds')})"


def age_at_scrape(scope: Scope) -> str:
    """Seconds from the exporter's last reading of its GPUs to the scrape; below 0 the exporter's clock is ahead.

    Empty where a recording is played back.
    """
    read_at = _exporter(scope, "gpu_exporter_last_success_timestamp_seconds")
    live = f"unless on (job, instance, vm) {_exporter(scope, 'gpu_exporter_replay')} == 1"
    return f"max by (vm) ((timestamp({read_at}) - {read_at}) {live})"


def collect_seconds(scope: Scope) -> str:
    """How long reading all GPUs takes."""
    return f"max by (vm) ({_exporter(scope, 'gpu_exporter_collect_duration_seconds')})"


def xids(scope: Scope) -> str:
    """XID errors in the window by code; empty when there were none."""
    errors = _exporter(scope, "gpu_xid_errors_total", gpu="gpu")
    return f"{total(f'increase({errors}[{scope.window}])', *GPU_LABELS, 'xid')} > 0"


def critical_xids(scope: Scope) -> str:
    """XID errors of the GPU itself in the window, by GPU and code."""
    errors = _exporter(scope, "gpu_xid_errors_total", f'xid=~"{"|".join(map(str, settings.CRITICAL_XIDS))}"')
    # The exporter exports these codes from zero, so that the first error is an increase. `increase` extrapolates to the
    # edges of its window: a little more than a whole number.
    return total(f"round(increase({errors}[{scope.window}]))", *GPU_LABELS, "xid")


def processes(scope: Scope) -> str:
    """Bytes of GPU memory of each process."""
    return total(_exporter(scope, "gpu_process_memory_bytes", gpu="gpu"), *GPU_LABELS, "name", "pid")


def watts(scope: Scope) -> str:
    """Power of all GPUs, from their energy counters: no peak between two scrapes is missed."""
    return f"{total(scope.rate(field(scope, 'TOTAL_ENERGY_CONSUMPTION')))} / {_THOUSAND}"


def joules_per_token(scope: Scope) -> str:
    """Energy of the GPUs per token generated by vLLM."""
    tokens = total(scope.rate(scope.series("vllm:generation_tokens_total", vllm.JOB, vm="vm")))
    return share(f"({watts(scope)})", tokens)


def _exporter(scope: Scope, name: str, *matchers: str, **labels: str) -> str:
    return scope.series(name, JOB, *matchers, vm="vm", **labels)

"""What the GPU exporter says, under DCGM's names and in its units: MiB, MHz, millijoules, percent from 0 to 100."""

from observability.promql import Scope, share, total
from observability.queries import vllm

JOB = "gpu-exporter"
EACH = ("gpu", "vm")  # every VM counts its GPUs from 0
_THOUSAND, _MILLION, _BILLION = 1_000, 1_000_000, 1_000_000_000


def field(scope: Scope, name: str) -> str:
    """A selector of one of DCGM's fields, by its name without the prefix."""
    return scope.series(f"DCGM_FI_DEV_{name}", JOB, vm="vm", gpu="gpu")


def of_each(scope: Scope, name: str, *by: str) -> str:
    """A field of each GPU."""
    return f"max by ({', '.join((*EACH, *by))}) ({field(scope, name)})"


def memory(scope: Scope, kind: str) -> str:
    """MiB of each GPU, the instances of a partitioned one added up; kind is USED, FREE, RESERVED or TOTAL."""
    return total(field(scope, f"FB_{kind}"), *EACH)


def power_share(scope: Scope) -> str:
    """Power over the limit that is enforced."""
    return share(of_each(scope, "POWER_USAGE"), of_each(scope, "ENFORCED_POWER_LIMIT"))


def hertz(scope: Scope, clock: str, *by: str) -> str:
    """A clock of each GPU: SM or MEM."""
    return f"{of_each(scope, f'{clock}_CLOCK', *by)} * {_MILLION}"


def held_back(scope: Scope, cause: str) -> str:
    """The share of time in which a GPU ran slower than asked; cause is POWER or THERMAL."""
    return f"max by (gpu, vm) ({scope.rate(field(scope, f'{cause}_VIOLATION'))}) / {_BILLION}"


def clock_events(scope: Scope) -> str:
    """1 while something holds a GPU's clock down, by what."""
    return f"max by (gpu, vm, clock_event) ({_own(scope, 'gpu_clock_event_active', gpu='gpu')})"


def missing(scope: Scope) -> str:
    """GPUs that there should be and cannot be seen."""
    expected, visible = (total(_own(scope, f"gpu_exporter_gpus_{what}")) for what in ("expected", "visible"))
    return f"{expected} - {visible}"


def is_recorded(scope: Scope) -> str:
    """1 where the exporter plays a recording back instead of reading a GPU."""
    return f"max({_own(scope, 'gpu_exporter_replay')})"


def age_of_data(scope: Scope) -> str:
    """Seconds since the exporter could last read its GPUs."""
    return f"time() - min by (vm) ({_own(scope, 'gpu_exporter_last_success_timestamp_seconds')})"


def collect_seconds(scope: Scope) -> str:
    """How long it takes to read all GPUs."""
    return f"max by (vm) ({_own(scope, 'gpu_exporter_collect_duration_seconds')})"


def xids(scope: Scope) -> str:
    """Errors that the driver reported in the window, by their code; absent when there was none."""
    errors = _own(scope, "gpu_xid_errors_total", gpu="gpu")
    return f"{total(f'increase({errors}[{scope.window}])', *EACH, 'xid')} > 0"


def processes(scope: Scope) -> str:
    """Bytes of GPU memory of each process."""
    return total(_own(scope, "gpu_process_memory_bytes", gpu="gpu"), *EACH, "name", "pid")


def watts(scope: Scope) -> str:
    """Power of all GPUs, from their counters of energy: no peak between two scrapes is lost."""
    return f"{total(scope.rate(field(scope, 'TOTAL_ENERGY_CONSUMPTION')))} / {_THOUSAND}"


def joules_per_token(scope: Scope) -> str:
    """Energy of the GPUs by the tokens that vLLM wrote with it."""
    tokens = total(scope.rate(scope.series("vllm:generation_tokens_total", vllm.JOB, vm="vm")))
    return share(f"({watts(scope)})", tokens)


def _own(scope: Scope, name: str, **labels: str) -> str:
    return scope.series(name, JOB, vm="vm", **labels)

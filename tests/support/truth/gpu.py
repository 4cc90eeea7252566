"""What the queries of the GPU dashboard should show."""

from tests.support.truth import combined, seen
from tests.support.truth import engine_amounts as e
from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure
from tests.support.truth.overview import Table, around, now
from tests.support.truth.targets.gpu import AGE_S
from tests.support.truth.targets.machines import MACHINES

_GPU = "gpu vm"
_DCGM = "DCGM_FI_DEV_"
_HERTZ, _BYTES_OF_KB, _NANOSECOND = 1e6, 1000, 1e-9
_MIG = f"{_GPU} GPU_I_PROFILE GPU_I_ID"
# Fewer tokens say nothing of the energy of each, in a point of a graph and in the selected range.
_MIN_TOKENS, _MIN_TOKENS_OF_RANGE = 50, 1000


def _of_gpus(name: str, factor: float = 1) -> Compared:
    return now(combined.scaled(seen.latest(f"{_DCGM}{name}", f"{_GPU} modelName", max), factor))


def _average(name: str, factor: float = 1) -> Compared:
    return around(combined.scaled(seen.average(f"{_DCGM}{name}", _GPU), factor))


def _rate(name: str, factor: float = 1) -> Compared:
    return around(seen.increase(f"{_DCGM}{name}", _GPU, max), per_second=True, factor=factor)


def _joules_per_token(minimum: int) -> Measure:
    joules = combined.scaled(seen.increase(f"{_DCGM}TOTAL_ENERGY_CONSUMPTION"), 0.001)
    tokens, first = (combined.at_engines(m.total(e.vllm, of)) for of in (e.generated, lambda _: 1))
    return combined.at_least(minimum, combined.minus(tokens, first), m.ratio(joules, tokens))


def _tiles() -> Table:
    found = {
        "GPUs missing": now(
            combined.minus(seen.latest("gpu_exporter_gpus_expected"), seen.latest("gpu_exporter_gpus_visible"))
        ),
        "Busiest GPU": now(seen.latest(f"{_DCGM}GPU_UTIL", across=max)),
        "Free memory": now(seen.latest(f"{_DCGM}FB_FREE", across=min)),
        "Hottest GPU": now(seen.latest(f"{_DCGM}GPU_TEMP", across=max)),
        "Energy per output token (range)": Compared(_joules_per_token(_MIN_TOKENS_OF_RANGE), "range"),
        "Data source": now(seen.latest("gpu_exporter_replay", across=max)),
    }  # fmt: skip
    return {(title, title): compared for title, compared in found.items()}


def _table() -> Table:
    columns = {
        "Utilisation": "GPU_UTIL", "Power": "POWER_USAGE", "Power limit": "ENFORCED_POWER_LIMIT",
        "Memory used": "FB_USED", "Free memory": "FB_FREE", "Temperature": "GPU_TEMP",
    }  # fmt: skip
    return {
        **{("GPUs", column): _of_gpus(name) for column, name in columns.items()},
        ("GPUs", "Clock"): _of_gpus("SM_CLOCK", _HERTZ),
    }


def _errors() -> Table:
    columns = {
        "ECC corrected": "ECC_SBE_VOL_TOTAL", "ECC uncorrected": "ECC_DBE_VOL_TOTAL",
        "Remapped rows corrected": "CORRECTABLE_REMAPPED_ROWS",
        "Remapped rows uncorrectable": "UNCORRECTABLE_REMAPPED_ROWS", "Remap pending": "ROW_REMAP_PENDING",
        "Remap failed": "ROW_REMAP_FAILURE", "PCIe replays": "PCIE_REPLAY_COUNTER",
    }  # fmt: skip
    return {
        ("Memory errors", column): now(seen.latest(f"{_DCGM}{name}", _GPU, max)) for column, name in columns.items()
    }


def _graphs() -> Table:
    prefix = "{{vm}} GPU {{gpu}}"
    power = m.ratio(seen.average(f"{_DCGM}POWER_USAGE", _GPU), seen.average(f"{_DCGM}ENFORCED_POWER_LIMIT", _GPU))
    temperatures = combined.split(
        "sensor",
        {
            name: seen.highest(f"{_DCGM}{metric}", _GPU, max)
            for name, metric in (("core", "GPU_TEMP"), ("memory", "MEMORY_TEMP"))
        },
    )
    return {
        ("Utilisation of GPU and memory", f"{prefix}: compute"): _average("GPU_UTIL"),
        ("Utilisation of GPU and memory", f"{prefix}: memory"): _average("MEM_COPY_UTIL"),
        ("GPU memory", f"{prefix} used"): around(seen.highest(f"{_DCGM}FB_USED", _GPU)),
        ("GPU memory", f"{prefix} reserved"): around(seen.highest(f"{_DCGM}FB_RESERVED", _GPU)),
        ("GPU memory", f"{prefix} free"): around(seen.lowest(f"{_DCGM}FB_FREE", _GPU)),
        ("Clocks", f"{prefix}: SM"): _average("SM_CLOCK", _HERTZ),
        ("Clocks", f"{prefix}: memory"): _average("MEM_CLOCK", _HERTZ),
        ("Power usage (% of limit)", prefix): around(combined.gauge(power)),
        ("Temperature", f"{prefix}: {{{{sensor}}}}"): around(temperatures),
        ("Energy per output token", "energy per token"): around(_joules_per_token(_MIN_TOKENS)),
        ("PCIe throughput", f"{prefix}: received"): around(
            combined.scaled(seen.highest(f"{_DCGM}PCIE_RX_THROUGHPUT", _GPU, max), _BYTES_OF_KB)
        ),
        ("PCIe throughput", f"{prefix}: sent"): around(
            combined.scaled(seen.highest(f"{_DCGM}PCIE_TX_THROUGHPUT", _GPU, max), _BYTES_OF_KB)
        ),
        ("PCIe replays", prefix): _rate("PCIE_REPLAY_COUNTER"),
        ("Encoder and decoder utilisation", f"{prefix}: encoder"): _average("ENC_UTIL"),
        ("Encoder and decoder utilisation", f"{prefix}: decoder"): _average("DEC_UTIL"),
        ("Clock throttle reasons", "{{clock_event}} GPU {{gpu}} {{vm}}"): around(
            seen.highest("gpu_clock_event_active", f"{_GPU} clock_event", max)
        ),
        ("Throttled time", f"{prefix}: power"): _rate("POWER_VIOLATION", _NANOSECOND),
        ("Throttled time", f"{prefix}: heat"): _rate("THERMAL_VIOLATION", _NANOSECOND),
        ("Collection duration", "{{vm}}"): around(seen.highest("gpu_exporter_collect_duration_seconds", "vm", max)),
    }


GPU: Table = {
    **_tiles(),
    **_table(),
    **_errors(),
    **_graphs(),
    ("XID errors", "Times"): Compared(seen.increase("gpu_xid_errors_total", f"{_GPU} xid"), "range"),
    ("Processes on the GPU", "Memory"): now(seen.latest("gpu_process_memory_bytes", f"{_GPU} name pid")),
    ("Metrics age", "{{vm}} age"): now(combined.of_vms(dict.fromkeys(MACHINES, float(AGE_S)))),
    ("Metrics age", "{{vm}} clock skew"): now(combined.of_vms({vm: each.skew for vm, each in MACHINES.items()})),
    ("MIG instance memory", "Used"): now(seen.latest(f"{_DCGM}FB_USED", _MIG, max, GPU_I_ID="*")),
    ("MIG instance memory", "Free"): now(seen.latest(f"{_DCGM}FB_FREE", _MIG, max, GPU_I_ID="*")),
    ("MIG instance memory used", "{{vm}} GPU {{gpu}} {{GPU_I_PROFILE}} {{GPU_I_ID}}"): around(
        seen.highest(f"{_DCGM}FB_USED", _MIG, max, GPU_I_ID="*")
    ),
}

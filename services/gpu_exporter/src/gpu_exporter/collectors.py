"""All collectors: which metric comes from which call of NVML, in which unit.

Names and units are those of dcgm-exporter up to 4.8.2, which the public dashboards read: MiB, MHz, mJ, percent 0-100.
DCGM has no metrics named `gpu_`. NVML does not provide DCGM's profiling fields (DCGM_FI_PROF_*). XID events are not
read but listened for: `xid_listener`.
"""

from collections.abc import Callable
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs

from gpu_exporter.collector import CallCollector, Collector, Field
from gpu_exporter.nvml import Handle
from gpu_exporter.processes import Processes
from launcher.exposition import Label, Metric

_MIB = 1024 * 1024


def _gauge(name: str, text: str, convert: Callable[[Any], float] = int, labels: tuple[Label, ...] = ()) -> Field:
    return Field(Metric(name, "gauge", text), convert, labels)


def _counter(name: str, text: str, convert: Callable[[Any], float] = int) -> Field:
    return Field(Metric(name, "counter", text), convert)


def _first(values: Any) -> int:
    return int(values[0])  # the second is the period over which it was sampled


def _watts(milliwatts: int) -> float:
    return milliwatts / 1000


def _nanoseconds(violation: Any) -> int:
    return int(violation.violationTime)


def _memory(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetMemoryInfo(gpu, version=pynvml.nvmlMemory_v2)  # only version 2 has `reserved`


def _sm_clock(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM)


def _memory_clock(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM)


def _temperature(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)


def _memory_temperature(gpu: Handle) -> int:
    (field,) = pynvml.nvmlDeviceGetFieldValues(gpu, [pynvml.NVML_FI_DEV_MEMORY_TEMP])
    if field.nvmlReturn != pynvml.NVML_SUCCESS:  # the call may succeed without the value
        raise pynvml.NVMLError(field.nvmlReturn)
    return int(field.value.uiVal)


def _pcie_sent(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetPcieThroughput(gpu, pynvml.NVML_PCIE_UTIL_TX_BYTES)


def _pcie_received(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetPcieThroughput(gpu, pynvml.NVML_PCIE_UTIL_RX_BYTES)


def _corrected(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetTotalEccErrors(gpu, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_VOLATILE_ECC)


def _uncorrected(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetTotalEccErrors(gpu, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)


def _power_violation(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetViolationStatus(gpu, pynvml.NVML_PERF_POLICY_POWER)


def _thermal_violation(gpu: Handle) -> Any:
    return pynvml.nvmlDeviceGetViolationStatus(gpu, pynvml.NVML_PERF_POLICY_THERMAL)


def _clock_event(name: str, bit: int) -> Field:
    return _gauge(
        "gpu_clock_event_active",
        "1 while this holds the clocks down, else 0.",
        lambda reasons: int(bool(reasons & bit)),
        (("clock_event", name),),
    )


COLLECTORS: tuple[Collector, ...] = (
    CallCollector(
        pynvml.nvmlDeviceGetUtilizationRates,
        _gauge("DCGM_FI_DEV_GPU_UTIL", "GPU utilisation (in %).", lambda rates: rates.gpu),
        _gauge(
            "DCGM_FI_DEV_MEM_COPY_UTIL", "Utilisation of the memory's bandwidth (in %).", lambda rates: rates.memory
        ),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetEncoderUtilization,
        _gauge("DCGM_FI_DEV_ENC_UTIL", "Utilisation of the video encoder (in %).", _first),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetDecoderUtilization,
        _gauge("DCGM_FI_DEV_DEC_UTIL", "Utilisation of the video decoder (in %).", _first),
    ),
    CallCollector(
        _memory,
        _gauge("DCGM_FI_DEV_FB_TOTAL", "Memory of the GPU (in MiB).", lambda memory: memory.total // _MIB),
        _gauge("DCGM_FI_DEV_FB_USED", "Memory in use (in MiB).", lambda memory: memory.used // _MIB),
        _gauge("DCGM_FI_DEV_FB_FREE", "Free memory (in MiB).", lambda memory: memory.free // _MIB),
        _gauge(
            "DCGM_FI_DEV_FB_RESERVED", "Memory that driver and firmware keep (in MiB).", lambda m: m.reserved // _MIB
        ),
        per_instance=True,
    ),
    CallCollector(_sm_clock, _gauge("DCGM_FI_DEV_SM_CLOCK", "Clock of the multiprocessors (in MHz).")),
    CallCollector(_memory_clock, _gauge("DCGM_FI_DEV_MEM_CLOCK", "Clock of the memory (in MHz).")),
    CallCollector(_temperature, _gauge("DCGM_FI_DEV_GPU_TEMP", "Temperature of the GPU (in C).")),
    CallCollector(_memory_temperature, _gauge("DCGM_FI_DEV_MEMORY_TEMP", "Temperature of the memory (in C).")),
    CallCollector(pynvml.nvmlDeviceGetPowerUsage, _gauge("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", _watts)),
    CallCollector(
        pynvml.nvmlDeviceGetEnforcedPowerLimit,
        _gauge("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "Power limit that holds, the lowest of all (in W).", _watts),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetPowerManagementLimit,
        _gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT", "Power limit that is set (in W).", _watts),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetTotalEnergyConsumption,
        _counter("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Energy used since the driver was loaded (in mJ)."),
    ),
    # NVML itself samples each direction for 20 ms, during which the call blocks.
    CallCollector(
        _pcie_sent,
        _gauge("DCGM_FI_DEV_PCIE_TX_THROUGHPUT", "Data sent over PCIe in the last 20 ms (in KB/s)."),
    ),
    CallCollector(
        _pcie_received,
        _gauge("DCGM_FI_DEV_PCIE_RX_THROUGHPUT", "Data received over PCIe in the last 20 ms (in KB/s)."),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetPcieReplayCounter,
        _counter("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "Retries on the PCIe bus."),
    ),
    CallCollector(
        _corrected, _counter("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "Corrected memory errors since the last reset.")
    ),
    CallCollector(
        _uncorrected, _counter("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "Uncorrected memory errors since the last reset.")
    ),
    CallCollector(
        pynvml.nvmlDeviceGetRemappedRows,
        _counter(
            "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
            "Memory rows remapped for corrected errors.",
            lambda rows: rows[0],
        ),
        _counter(
            "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
            "Memory rows remapped for uncorrected errors.",
            lambda rows: rows[1],
        ),
        _gauge("DCGM_FI_DEV_ROW_REMAP_PENDING", "1 when the GPU must be reset to remap a row.", lambda rows: rows[2]),
        _gauge("DCGM_FI_DEV_ROW_REMAP_FAILURE", "1 when a row could not be remapped.", lambda rows: rows[3]),
    ),
    CallCollector(
        _power_violation,
        _counter("DCGM_FI_DEV_POWER_VIOLATION", "Time slowed down for want of power (in ns).", _nanoseconds),
    ),
    CallCollector(
        _thermal_violation,
        _counter("DCGM_FI_DEV_THERMAL_VIOLATION", "Time slowed down because of heat (in ns).", _nanoseconds),
    ),
    CallCollector(
        pynvml.nvmlDeviceGetCurrentClocksEventReasons,
        _gauge("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "Why the clocks are what they are, as NVML's bits."),
        _clock_event("power_cap", pynvml.nvmlClocksEventReasonSwPowerCap),
        _clock_event("hw_slowdown", pynvml.nvmlClocksEventReasonHwSlowdown),
        _clock_event("hw_thermal", pynvml.nvmlClocksEventReasonHwThermalSlowdown),
        _clock_event("hw_power_brake", pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown),
        _clock_event("sw_thermal", pynvml.nvmlClocksEventReasonSwThermalSlowdown),
    ),
    Processes(),
)

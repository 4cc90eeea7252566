"""What the GPU exporters expose: the pages that their own code wrote of a stub of NVML, with values that change."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from tests.support.program import ROOT
from tests.support.truth import traffic
from tests.support.truth.samples import Changes, SeriesName
from tests.support.truth.targets.machines import MACHINES

_PAGES = ROOT / "tests" / "integration" / "gpu_exporter" / "golden"
# An L4, and an A100 of two MIG instances.
_GPUS = {traffic.LOCAL: "l4", traffic.REMOTE: "a100-mig"}
_TARGET = 'job="gpu-exporter",instance="gpu-exporter:9400",vm="{vm}"'
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
# Twenty minutes of work, twenty of idling.
_SHIFT_S = 20 * traffic.MINUTE
# What idling leaves of a value: of a value that is not here, all.
_IDLE = {
    "DCGM_FI_DEV_GPU_UTIL": 0.0, "DCGM_FI_DEV_MEM_COPY_UTIL": 0.0, "DCGM_FI_DEV_DEC_UTIL": 0.0,
    "DCGM_FI_DEV_POWER_USAGE": 0.25, "DCGM_FI_DEV_SM_CLOCK": 0.125, "DCGM_FI_DEV_GPU_TEMP": 0.75,
    "DCGM_FI_DEV_MEMORY_TEMP": 0.5, "DCGM_FI_DEV_PCIE_TX_THROUGHPUT": 0.0, "DCGM_FI_DEV_PCIE_RX_THROUGHPUT": 0.0,
    "gpu_clock_event_active": 0.0,
}  # fmt: skip
# A scrape in which the GPU is hot and out of memory, which a sample in twenty minutes would miss.
_PEAK_AT = (traffic.ASKED_AT - 2.2 * traffic.HOUR, traffic.ASKED_AT - 50 * traffic.HOUR)
_PEAK = {"DCGM_FI_DEV_GPU_TEMP": 91.0, "DCGM_FI_DEV_FB_FREE": 100.0}
# Two XID errors and four PCIe replays.
_FAULTS_AT = traffic.ASKED_AT - 3.3 * traffic.HOUR
_FAULTS = {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 4.0}
XID, XIDS = "79", 2
# Nanoseconds of a working second.
_THROTTLED = {"DCGM_FI_DEV_POWER_VIOLATION": 100_000_000, "DCGM_FI_DEV_THERMAL_VIOLATION": 20_000_000}
COLLECTION_S, AGE_S = 0.0125, 2


def scrapes(times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    found: Changes = {}
    for vm, kind in _GPUS.items():
        target = _TARGET.format(vm=vm)
        found["up", target] = [(times[0], 1.0)]
        page = _page(kind)
        watts = page[_series(page, "DCGM_FI_DEV_POWER_USAGE")]
        for (name, labels), value in page.items():
            series = name, f"{target},{labels}" if labels else target
            found[series] = _changes(_value(name, labels, value, watts, times), times)
        # By the clock of its VM.
        success = "gpu_exporter_last_success_timestamp_seconds", target
        found[success] = [(at, at - AGE_S + MACHINES[vm].skew) for at in times]
    return found


def _page(kind: str) -> dict[SeriesName, float]:
    lines = (_PAGES / f"{kind}.metrics").read_text("utf-8").splitlines()
    found = (_SAMPLE.match(line) for line in lines if not line.startswith("#"))
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


def _series(page: dict[SeriesName, float], name: str) -> SeriesName:
    return next(series for series in page if series[0] == name)


def _value(name: str, labels: str, value: float, watts: float, times: Sequence[int]) -> Callable[[int], float]:
    """The value of a series by the time of a scrape, which only moves forward."""
    if name == "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION":
        # Millijoules.
        return _growing(value, times, lambda at: 1000 * watts * (1 if _works(at) else _IDLE["DCGM_FI_DEV_POWER_USAGE"]))
    if name in _THROTTLED:
        return _growing(value, times, lambda at: _THROTTLED[name] if _works(at) else 0)
    if name == "gpu_xid_errors_total" and f'xid="{XID}"' in labels:
        return lambda at: value + (XIDS if at >= _FAULTS_AT else 0)
    if name == "gpu_exporter_collect_duration_seconds":
        return lambda _: COLLECTION_S
    peaks = {times[bisect_left(times, peak)] for peak in _PEAK_AT if peak > times[0]}
    return lambda at: _of_the_moment(name, value, at, peaks)


def _of_the_moment(name: str, value: float, at: int, peaks: AbstractSet[int]) -> float:
    if name in _FAULTS:
        return value + (_FAULTS[name] if at >= _FAULTS_AT else 0)
    if name in _PEAK and at in peaks:
        return _PEAK[name]
    return value if _works(at) else value * _IDLE.get(name, 1.0)


def _works(at: float) -> bool:
    return at // _SHIFT_S % 2 == 1


def _growing(value: float, times: Sequence[int], per_second: Callable[[int], float]) -> Callable[[int], float]:
    known = {times[0]: value}
    for before, at in pairwise(times):
        known[at] = known[before] + per_second(at) * (at - before)
    return known.__getitem__


def _changes(value: Callable[[int], float], times: Sequence[int]) -> list[tuple[int, float | None]]:
    found: list[tuple[int, float | None]] = []
    for at in times:
        if not found or found[-1][1] != value(at):
            found.append((at, value(at)))
    return found

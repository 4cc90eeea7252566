"""Compares what the exporter says with what `nvidia-smi -q -x` says, value by value, on a machine with a real GPU.

    nvidia-smi -q -x >before.xml; curl -s localhost:9400/metrics >page.metrics; nvidia-smi -q -x >after.xml
    PYTHONPATH=. .venv/bin/python -m tests.integration.gpu_exporter.compare_with_smi page.metrics before.xml after.xml

What moves is right when it lies between the two, give or take what nvidia-smi rounds off. The exit code is 1 when a
value is wrong, or one of the two has it and the other has not.
"""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_WORDS = {"Yes": 1.0, "No": 0.0, "Active": 1.0, "Not Active": 0.0}
_ECC = "ecc_errors/volatile/"


@dataclass(frozen=True)
class Row:
    """A metric, where nvidia-smi has it, and by how much the two may differ, in the metric's unit.

    Attributes:
        paths: of several the first that has a value, since names change between drivers; `a+b` is a sum.
    """

    metric: str
    paths: tuple[str, ...]
    slack: float = 0
    labels: tuple[tuple[str, str], ...] = ()


def _dcgm(name: str, *paths: str, slack: float = 0) -> Row:
    return Row(f"DCGM_FI_DEV_{name}", paths, slack)


def _event(name: str, element: str) -> Row:
    paths = (
        f"clocks_event_reasons/clocks_event_reason_{element}",
        f"clocks_throttle_reasons/clocks_throttle_reason_{element}",
    )
    return Row("gpu_clock_event_active", paths, 0, (("clock_event", name),))


# MiB and W are rounded, and utilisation, clocks, temperature and power move within the second.
ROWS = (
    _dcgm("GPU_UTIL", "utilization/gpu_util", slack=5),
    _dcgm("MEM_COPY_UTIL", "utilization/memory_util", slack=5),
    _dcgm("ENC_UTIL", "utilization/encoder_util", slack=5),
    _dcgm("DEC_UTIL", "utilization/decoder_util", slack=5),
    _dcgm("FB_TOTAL", "fb_memory_usage/total", slack=1),
    _dcgm("FB_RESERVED", "fb_memory_usage/reserved", slack=1),
    _dcgm("FB_USED", "fb_memory_usage/used", slack=1),
    _dcgm("FB_FREE", "fb_memory_usage/free", slack=1),
    _dcgm("SM_CLOCK", "clocks/sm_clock", slack=15),
    _dcgm("MEM_CLOCK", "clocks/mem_clock", slack=1),
    _dcgm("GPU_TEMP", "temperature/gpu_temp", slack=1),
    _dcgm("MEMORY_TEMP", "temperature/memory_temp", slack=1),
    _dcgm(
        "POWER_USAGE", "gpu_power_readings/power_draw", "gpu_power_readings/average_power_draw",
        "gpu_power_readings/instant_power_draw", "power_readings/power_draw", slack=2,
    ),
    _dcgm(
        "ENFORCED_POWER_LIMIT", "gpu_power_readings/current_power_limit", "power_readings/enforced_power_limit",
        slack=0.01,
    ),
    _dcgm(
        "POWER_MGMT_LIMIT", "gpu_power_readings/requested_power_limit", "gpu_power_readings/current_power_limit",
        "power_readings/power_limit", slack=0.01,
    ),
    _dcgm("PCIE_REPLAY_COUNTER", "pci/replay_counter"),
    _dcgm("ECC_SBE_VOL_TOTAL", f"{_ECC}sram_correctable+{_ECC}dram_correctable"),
    _dcgm(
        "ECC_DBE_VOL_TOTAL",
        f"{_ECC}sram_uncorrectable_parity+{_ECC}sram_uncorrectable_secded+{_ECC}dram_uncorrectable",
        f"{_ECC}sram_uncorrectable+{_ECC}dram_uncorrectable",
    ),
    _dcgm("CORRECTABLE_REMAPPED_ROWS", "remapped_rows/remapped_row_corr"),
    _dcgm("UNCORRECTABLE_REMAPPED_ROWS", "remapped_rows/remapped_row_unc"),
    _dcgm("ROW_REMAP_PENDING", "remapped_rows/remapped_row_pending"),
    _dcgm("ROW_REMAP_FAILURE", "remapped_rows/remapped_row_failure"),
    _event("power_cap", "sw_power_cap"),
    _event("hw_slowdown", "hw_slowdown"),
    _event("hw_thermal", "hw_thermal_slowdown"),
    _event("hw_power_brake", "hw_power_brake_slowdown"),
    _event("sw_thermal", "sw_thermal_slowdown"),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One comparison; `ours` and `theirs` (before and after) are None where there is no value."""

    gpu: str
    what: str
    ours: float | str | None
    theirs: tuple[float | str | None, float | str | None]
    fits: bool

    def __str__(self) -> str:
        verdict = "ok   " if self.fits else "WRONG"
        return f"{verdict} GPU {self.gpu} {self.what}: {self.ours}, nvidia-smi {self.theirs[0]} … {self.theirs[1]}"


def compare(page: str, before: str, after: str) -> Iterator[Finding]:
    """All comparisons of a page of metrics with what nvidia-smi said before and after it.

    Raises:
        ValueError: one of the three cannot be read.
    """
    families = list(text_string_to_metric_families(page))
    first, second = _by_uuid(before), _by_uuid(after)
    for uuid, gpu in first.items():
        labels = _labels(families, uuid)
        index = labels.get("gpu", "?")
        for label, path in (("modelName", "product_name"), ("pci_bus_id", "pci/pci_bus_id")):
            text = gpu.findtext(path)
            yield Finding(index, label, labels.get(label), (text, text), labels.get(label) == text)
        for row in ROWS:
            theirs = _number(gpu, row.paths), _number(second.get(uuid, gpu), row.paths)
            ours = _value(families, uuid, row)
            what = " ".join((row.metric, *(value for _, value in row.labels)))
            yield Finding(index, what, ours, theirs, _fits(ours, theirs, row.slack))


def _fits(ours: float | None, theirs: tuple[float | None, float | None], slack: float) -> bool:
    known = [value for value in theirs if value is not None]
    if ours is None or not known:
        return ours is None and not known
    return min(known) - slack <= ours <= max(known) + slack


def _by_uuid(xml: str) -> dict[str, ET.Element]:
    try:
        root = ET.fromstring(xml)  # noqa: S314 -- the word of this machine's own nvidia-smi
    except ET.ParseError as error:
        raise ValueError(f"this is not what `nvidia-smi -q -x` prints: {error}") from error
    return {gpu.findtext("uuid", "").strip(): gpu for gpu in root.iter("gpu")}


def _number(gpu: ET.Element, paths: Sequence[str]) -> float | None:
    for path in paths:
        parts = [_plain(gpu.findtext(part)) for part in path.split("+")]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return sum(known)
    return None


def _plain(text: str | None) -> float | None:
    """A value without its unit; None for "N/A" and the like."""
    if text is None:
        return None
    if text.strip() in _WORDS:
        return _WORDS[text.strip()]
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return None


def _labels(families: Sequence[Metric], uuid: str) -> dict[str, str]:
    for family in families:
        for sample in family.samples:
            if sample.labels.get("UUID") == uuid:
                return sample.labels
    return {}


def _value(families: Sequence[Metric], uuid: str, row: Row) -> float | None:
    wanted = {("UUID", uuid), *row.labels}
    names = {row.metric, f"{row.metric}_total"}  # this parser appends it to counters
    for family in families:
        for sample in family.samples:
            if sample.name in names and wanted <= sample.labels.items() and "GPU_I_ID" not in sample.labels:
                return float(sample.value)
    return None


def main(arguments: Sequence[str]) -> int:
    """Prints all findings, and how many there are."""
    if len(arguments) != 3:
        sys.stderr.write("Give three files: the page of metrics, nvidia-smi -q -x before it, and after it.\n")
        return 2
    try:
        findings = list(compare(*(Path(argument).read_text(encoding="utf-8") for argument in arguments)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Nothing to compare: {error}.\n")
        return 2
    wrong = [finding for finding in findings if not finding.fits]
    both = sum(finding.ours is not None for finding in findings)
    lines = [
        *(str(finding) for finding in findings),
        f"{len(findings)} compared, {both} with a value, {len(wrong)} wrong",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if wrong or not findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

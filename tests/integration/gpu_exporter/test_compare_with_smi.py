"""The comparison with nvidia-smi, on a page of the stub and on XML that was written by hand."""

from pathlib import Path

import pytest
from tests.integration.gpu_exporter import golden
from tests.integration.gpu_exporter.compare_with_smi import ROWS, compare, main
from tests.integration.gpu_exporter.exporter import HERE

SMI = HERE / "smi" / "l4-hand-written.xml"


@pytest.fixture
def page() -> str:
    return golden.file("l4").read_text(encoding="utf-8")


@pytest.fixture
def smi() -> str:
    return SMI.read_text(encoding="utf-8")


def wrong(page: str, before: str, after: str) -> set[str]:
    return {finding.what for finding in compare(page, before, after) if not finding.fits}


def test_the_same_machine_fits_in_every_value(page: str, smi: str) -> None:
    findings = list(compare(page, smi, smi))
    assert [str(finding) for finding in findings if not finding.fits] == []
    without = {finding.what for finding in findings if finding.ours is None}
    assert without == {"DCGM_FI_DEV_MEMORY_TEMP"}  # neither of the two has it
    assert len(findings) == len(ROWS) + 2


@pytest.mark.parametrize(
    ("theirs", "changed", "what"),
    [
        ("71.96 W", "60.00 W", "DCGM_FI_DEV_POWER_USAGE"),
        ("<used>21001 MiB", "<used>20001 MiB", "DCGM_FI_DEV_FB_USED"),
        ("<dram_correctable>4", "<dram_correctable>5", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"),
        ("_sw_power_cap>Active", "_sw_power_cap>Not Active", "gpu_clock_event_active power_cap"),
        ("<memory_temp>N/A", "<memory_temp>70 C", "DCGM_FI_DEV_MEMORY_TEMP"),
        ("<replay_counter>2", "<replay_counter>N/A", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"),
        ("<product_name>NVIDIA L4", "<product_name>NVIDIA L40", "modelName"),
    ],
)
def test_a_value_that_differs_or_that_only_one_has_is_found(
    theirs: str, changed: str, what: str, page: str, smi: str
) -> None:
    assert theirs in smi
    other = smi.replace(theirs, changed, 1)
    assert wrong(page, other, other) == {what}


def test_a_changing_value_fits_between_before_and_after(page: str, smi: str) -> None:
    before, after = smi.replace("85 %", "10 %"), smi.replace("85 %", "99 %")
    assert wrong(page, before, after) == set()
    assert wrong(page, before, before) == {"DCGM_FI_DEV_GPU_UTIL"}


def test_a_gpu_that_the_exporter_does_not_have_is_wrong_throughout(smi: str) -> None:
    assert len(wrong("gpu_up 0\n", smi, smi)) == len(ROWS) + 2 - 1  # nvidia-smi has no memory temperature


def test_the_program_reports_how_many(page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page"
    file.write_text(page, encoding="utf-8")
    assert main([str(file), str(SMI), str(SMI)]) == 0
    assert capsys.readouterr().out.endswith(f"\n{len(ROWS) + 2} compared, {len(ROWS) + 1} with a value, 0 wrong\n")
    file.write_text(page.replace("} 71.962", "} 1"), encoding="utf-8")
    assert main([str(file), str(SMI), str(SMI)]) == 1
    assert main([str(file), str(SMI), str(file)]) == 2
    assert capsys.readouterr().err.startswith("Nothing to compare: this is not what")

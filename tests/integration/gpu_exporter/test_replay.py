"""A recording played back: the same values, and everywhere the word that they are recorded."""

from pathlib import Path

from tests.integration.gpu_exporter import golden
from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import refused


def test_a_recording_is_played_back_and_says_so_everywhere(start: Start) -> None:
    file = golden.file("l4")
    exporter = start(None, REPLAY=str(file))
    scrape = exporter.scrape()
    assert scrape.value("gpu_exporter_replay", replay="true") == 1
    assert scrape.value("DCGM_FI_DEV_POWER_USAGE", gpu="0", modelName="NVIDIA L4", replay="true") == 71.962
    lines = [line for line in scrape.text.splitlines() if not line.startswith("#")]
    assert all('replay="true"}' in line for line in lines)
    recorded = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == len(recorded)
    assert exporter.get("/healthz") == (200, "ok\n")
    until_told = f"gpu-exporter: REPLAY of {file}: these values were recorded, no GPU is read\n"
    assert exporter.text() == until_told


def test_a_bad_recording_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<html>\n", encoding="utf-8")
    code, text = refused({}, ["--replay", str(file)])
    assert (code, text.count("\n")) == (2, 1)
    assert text.startswith(f"GPU_EXPORTER_REPLAY={file} cannot be played back (line 1 is no metric); it must be")

"""What a healthy machine gives, byte for byte, and how single series drop out."""

import urllib.request

import pytest
from tests.integration.gpu_exporter import golden
from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Machine
from tests.support.program import HOST


@pytest.mark.parametrize("kind", golden.KINDS)
def test_the_exposition_of_a_machine(kind: str, start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, kind)
    page = golden.timeless(start(machine).scrape().text)
    file = golden.file(kind)
    assert page == file.read_text(encoding="utf-8"), f"{file} should read:\n{page}"


def test_what_is_of_the_moment(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    first, second = exporter.scrape(), exporter.scrape()
    name = "gpu_exporter_last_success_timestamp_seconds"
    assert second.value(name) > first.value(name) > 1_700_000_000
    assert 0 < second.value("gpu_exporter_collect_duration_seconds") < 1


def test_it_is_prometheus_text_format(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    with urllib.request.urlopen(f"http://{HOST}:{exporter.port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_values_are_those_of_the_scrape(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    assert exporter.scrape().value("DCGM_FI_DEV_POWER_USAGE") == 71.962
    machine.now("0.nvmlDeviceGetPowerUsage 30500")
    assert exporter.scrape().value("DCGM_FI_DEV_POWER_USAGE") == 30.5


@pytest.mark.parametrize("code", [3, 4, 13, 2, 25], ids=["support", "permission", "function", "argument", "version"])
def test_a_call_that_fails_drops_only_its_own_series(code: int, start: Start, machine: Machine) -> None:
    exporter = start(machine)
    before = exporter.scrape()
    machine.now(f"0.nvmlDeviceGetMemoryInfo_v2 error {code}", f"0.nvmlDeviceGetTemperature.0 error {code}")
    after = exporter.scrape()
    assert before.names() - after.names() == {
        *("DCGM_FI_DEV_FB_TOTAL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"),
        "DCGM_FI_DEV_GPU_TEMP",
    }
    assert after.value("gpu_up") == 1
    assert machine.calls() == ["init"]


def test_a_field_value_has_a_code_of_its_own(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    assert "DCGM_FI_DEV_MEMORY_TEMP" not in exporter.scrape().names()
    machine.now("0.nvmlDeviceGetFieldValues.82 77")
    assert exporter.scrape().value("DCGM_FI_DEV_MEMORY_TEMP") == 77


def test_what_is_left_out_is_logged_once_with_its_reason(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    for _ in range(3):
        exporter.scrape()
    line = "gpu-exporter: GPU 0 (NVIDIA L4) does not give DCGM_FI_DEV_MEMORY_TEMP: NVML: Not Supported\n"
    assert exporter.text() == line + "gpu-exporter: 1 of 1 GPUs are read\n"


def test_a_name_that_is_not_ascii_or_has_quotes(start: Start, machine: Machine) -> None:
    machine.now('0.nvmlDeviceGetName a "GPU" \\ 그래픽')
    name = start(machine).scrape()
    assert name.value("DCGM_FI_DEV_GPU_UTIL", modelName='a "GPU" \\ 그래픽') == 87

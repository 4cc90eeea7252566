"""MIG instances of a GPU, and the processes on it."""

from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Machine

MEMORY = "gpu_process_memory_bytes"


def test_a_partitioned_gpu_exports_memory_by_instance_and_nothing_twice(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "a100-mig")
    machine.now("0.nvmlDeviceGetMemoryInfo_v2 42949672960 0 0 42949672960")  # with privileges the whole answers too
    scrape = start(machine).scrape()
    assert {(labels["GPU_I_PROFILE"], labels["GPU_I_ID"]) for labels in scrape.labels("DCGM_FI_DEV_FB_USED")} == {
        ("3g.20gb", "1"),
        ("1g.5gb", "9"),
    }
    assert scrape.value("DCGM_FI_DEV_FB_USED", GPU_I_ID="1") == 9924
    assert "GPU_I_ID" not in scrape.labels("DCGM_FI_DEV_POWER_USAGE")[0]
    assert "DCGM_FI_DEV_GPU_UTIL" not in scrape.names()
    assert scrape.value("gpu_up") == 1
    assert {labels["pid"]: labels["GPU_I_ID"] for labels in scrape.labels(MEMORY)} == {"501": "1", "502": "1"}


def test_instances_come_and_go(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "a100-mig")
    exporter = start(machine)
    exporter.scrape()
    machine.now("0/3.nvmlDeviceGetName error 6", "0/2.nvmlDeviceGetGpuInstanceId error 2")
    scrape = exporter.scrape()
    assert [labels["GPU_I_ID"] for labels in scrape.labels("DCGM_FI_DEV_FB_USED")] == ["1"]
    assert {labels["pid"] for labels in scrape.labels(MEMORY)} == {"501"}
    assert scrape.value("gpu_up") == 1


def test_a_gpu_with_mig_disabled_is_exported_whole(start: Start, machine: Machine) -> None:
    machine.now("0.nvmlDeviceGetMigMode 0 1")
    scrape = start(machine).scrape()
    assert scrape.value("DCGM_FI_DEV_FB_USED") == 21000
    assert "GPU_I_ID" not in scrape.labels("DCGM_FI_DEV_FB_USED")[0]


def test_a_lost_gpu_is_lost_whole(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "a100-mig")
    exporter = start(machine)
    exporter.scrape()
    machine.now("0/3.nvmlDeviceGetMemoryInfo_v2 error 15")
    scrape = exporter.scrape()
    assert scrape.value("gpu_up") == 0
    assert scrape.gpus() == set()


def test_processes_are_bounded_and_none_is_lost_in_the_sum(start: Start, machine: Machine) -> None:
    pairs = " ".join(f"{pid} {pid * 1000}" for pid in range(1, 21))
    machine.now(f"0.nvmlDeviceGetComputeRunningProcesses_v3 {pairs}", "nvmlSystemGetProcessName.20 /a/b " + "c" * 90)
    scrape = start(machine).scrape()
    own = {labels["pid"] for labels in scrape.labels(MEMORY)} - {"other"}
    assert own == {str(pid) for pid in range(5, 21)}
    assert scrape.value(MEMORY, pid="other", name="other") == (1 + 2 + 3 + 4) * 1000
    assert scrape.value(MEMORY, pid="20", name="b") == 20_000


def test_a_name_shows_neither_arguments_nor_directories(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "t4")
    scrape = start(machine).scrape()
    assert scrape.value(MEMORY, gpu="0", pid="101", name="python3") == 14_000_000_000
    assert "not-for-others" not in scrape.text


def test_processes_that_may_not_be_seen_are_left_out_alone(start: Start, machine: Machine) -> None:
    machine.now("0.nvmlDeviceGetComputeRunningProcesses_v3 error 4")
    exporter = start(machine)
    scrape = exporter.scrape()
    assert scrape.value("gpu_up") == 1
    assert MEMORY not in scrape.names()
    assert "does not give gpu_process_memory_bytes: NVML: Insufficient Permissions" in exporter.text()

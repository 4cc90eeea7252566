"""What cannot be read is absent, says so, and comes back."""

import threading
import time

import pytest
from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Machine, absent
from tests.support.program import until

SESSION_ERRORS = {"uninitialized": 1, "driver not loaded": 9, "version mismatch": 18, "gpu not found": 28}


def test_without_a_driver_it_serves_and_is_healthy(start: Start) -> None:
    exporter = start(None)
    scrape = exporter.scrape()
    absent(scrape)
    assert scrape.value("gpu_exporter_gpus_expected") == 0
    assert "gpu_exporter_last_success_timestamp_seconds" not in scrape.names()
    exporter.scrape()
    assert exporter.get("/healthz") == (200, "ok\n")
    assert exporter.text() == "gpu-exporter: 0 of 0 GPUs are read; NVML: NVML Shared Library Not Found\n"


def test_an_expected_gpu_is_missed_from_the_start(start: Start) -> None:
    scrape = start(None, EXPECTED="1").scrape()
    absent(scrape)
    assert scrape.value("gpu_exporter_gpus_expected") == 1


def test_no_visible_gpu_is_a_failed_collection(start: Start, machine: Machine) -> None:
    machine.now("gpus 0")
    exporter = start(machine)
    absent(exporter.scrape())
    assert "NVML shows no GPU" in exporter.text()
    machine.now()
    assert exporter.scrape().value("gpu_up") == 1


def test_fewer_gpus_than_expected_is_not_up_though_the_others_are_read(start: Start, machine: Machine) -> None:
    scrape = start(machine, EXPECTED="2").scrape()
    absent(scrape, visible=1)
    assert "gpu_exporter_last_success_timestamp_seconds" not in scrape.names()


@pytest.mark.parametrize("code", SESSION_ERRORS.values(), ids=list(SESSION_ERRORS))
def test_a_session_error_fails_the_collection_and_the_next_one_restarts_nvml(
    code: int, start: Start, machine: Machine
) -> None:
    exporter = start(machine)
    success = exporter.scrape().value("gpu_exporter_last_success_timestamp_seconds")
    machine.now(f"0.nvmlDeviceGetPowerUsage error {code}")
    scrape = exporter.scrape()
    absent(scrape)
    assert scrape.value("gpu_exporter_gpus_expected") == 1
    assert scrape.value("gpu_exporter_last_success_timestamp_seconds") >= success
    assert machine.calls() == ["init"]  # until then XID events are waited for
    machine.now()
    assert exporter.scrape().value("gpu_up") == 1
    assert machine.calls() == ["init", "shutdown", "init"]


def test_a_lost_gpu_vanishes_and_the_other_stays(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "t4")
    exporter = start(machine)
    assert exporter.scrape().gpus() == {"0", "1"}
    machine.now("0.* error 15")
    scrape = exporter.scrape()
    absent(scrape, visible=1)
    assert scrape.gpus() == {"1"}
    assert scrape.value("gpu_exporter_gpus_expected") == 2
    assert "1 of 2 GPUs are read; GPU 0: NVML: GPU is lost\n" in exporter.text()
    assert exporter.get("/healthz")[0] == 200  # nothing that a new container would heal
    machine.now("gpus 1")  # after a new start NVML may not even count it
    absent(exporter.scrape(), visible=1)
    machine.now()
    assert exporter.scrape().value("gpu_up") == 1


def test_a_gpu_lost_in_the_middle_leaves_nothing_behind(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    exporter.scrape()
    machine.now("0.nvmlDeviceGetCurrentClocksEventReasons error 15")  # the last of the calls
    absent(exporter.scrape())


def test_a_gpu_of_others_is_not_counted(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "t4")
    machine.now("1.nvmlDeviceGetHandleByIndex_v2 error 4")
    scrape = start(machine).scrape()
    assert scrape.value("gpu_up") == 1
    assert scrape.value("gpu_exporter_gpus_expected") == 1
    assert scrape.gpus() == {"0"}


def test_unknown_error_after_a_success_is_unhealthy(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    assert exporter.scrape().value("gpu_up") == 1
    machine.now("* error 999")
    absent(exporter.scrape())
    assert exporter.get("/healthz") == (503, "NVML: Unknown Error: this container has to be recreated\n")
    absent(exporter.scrape())
    machine.now()
    assert exporter.scrape().value("gpu_up") == 1
    assert exporter.get("/healthz") == (200, "ok\n")


def test_the_health_check_needs_no_scrape(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    until(lambda: "1 of 1" in exporter.text(), 5, "the first look at the GPU")
    machine.now("0.* error 999")  # NVML itself works, the GPU does not
    until(lambda: exporter.get("/healthz")[0] == 503, 5, "a failing health check, with nobody scraping", pause=0.1)


def test_unknown_error_from_the_start_is_healthy(start: Start, machine: Machine) -> None:
    machine.now("nvmlInitWithFlags error 999")
    exporter = start(machine)
    absent(exporter.scrape())
    assert exporter.get("/healthz")[0] == 200


def test_an_unknown_error_of_one_call_is_that_series_alone(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    exporter.scrape()  # the next one waits for no collection of before the error
    machine.now("0.nvmlDeviceGetPowerUsage error 999")
    scrape = exporter.scrape()
    assert scrape.value("gpu_up") == 1
    assert "DCGM_FI_DEV_POWER_USAGE" not in scrape.names()
    assert exporter.get("/healthz")[0] == 200


@pytest.mark.timing
def test_a_hung_call_delays_a_scrape_no_longer_than_the_limit(start: Start, machine: Machine) -> None:
    exporter = start(machine, TIMEOUT="2")
    assert exporter.scrape().value("gpu_up") == 1
    machine.now("0.nvmlDeviceGetUtilizationRates hang")
    began = time.monotonic()
    absent(exporter.scrape())
    assert 1.9 < time.monotonic() - began < 4
    began = time.monotonic()
    scrape = exporter.scrape()  # it is known by now
    absent(scrape)
    assert time.monotonic() - began < 1
    assert scrape.value("gpu_exporter_collect_duration_seconds") > 2
    status, reason = exporter.get("/healthz")
    assert (status, reason) == (503, "NVML has not answered within 2 s: this container has to be recreated\n")
    machine.now()
    until(lambda: exporter.scrape().value("gpu_up") == 1, 5, "values after the call came back", pause=0.1)
    assert exporter.get("/healthz")[0] == 200
    assert exporter.text().count("has not answered") == 1


def test_a_hung_start_of_nvml_is_answered_too(start: Start, machine: Machine) -> None:
    machine.now("nvmlInitWithFlags hang")
    exporter = start(machine, TIMEOUT="0.3")
    absent(exporter.scrape())


def test_scrapes_at_the_same_time_get_whole_pages(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    pages: list[set[str]] = []
    threads = [threading.Thread(target=lambda: pages.append(exporter.scrape().names())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 8
    assert all(page == pages[0] for page in pages)
    assert "DCGM_FI_DEV_CLOCKS_EVENT_REASONS" in pages[0]

from dataclasses import replace

import pytest
from tests.unit.gpu_exporter.fakes import snapshot

from gpu_exporter.errors import GpuFailure, SessionFailure
from gpu_exporter.report import Reporter

PERMANENT = SessionFailure("NVML: Unknown Error", permanent=True)
LOST = GpuFailure("GPU 1: NVML: GPU is lost")


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def reporter(logged: list[str]) -> Reporter:
    return Reporter(None, logged.append)


def test_expected_is_the_most_that_was_seen(reporter: Reporter) -> None:
    counts = [reporter.report(snapshot(*gpus)).expected for gpus in ((), (0,), (0, 1), (0,))]
    assert counts == [0, 1, 2, 2]


def test_up_needs_all_that_are_expected_and_no_failure(reporter: Reporter) -> None:
    assert reporter.report(snapshot(0, 1)).up
    assert not reporter.report(snapshot(0)).up
    assert not reporter.report(snapshot(0, 1, failure=LOST)).up


def test_a_configured_number_overrides_what_was_seen(logged: list[str]) -> None:
    reporter = Reporter(1, logged.append)
    assert reporter.report(snapshot(0, 1)).up
    assert reporter.report(snapshot(0)).up
    assert not reporter.report(snapshot(failure=PERMANENT)).up


def test_the_last_success_stays(reporter: Reporter) -> None:
    assert reporter.report(snapshot(failure=PERMANENT)).last_success is None
    success = reporter.report(snapshot(0)).last_success
    assert success is not None
    assert reporter.report(snapshot(failure=PERMANENT)).last_success == success


def test_unhealthy_is_what_worked_and_will_not_recover_by_itself(reporter: Reporter) -> None:
    assert reporter.report(snapshot(failure=PERMANENT)).unhealthy_reason is None
    assert reporter.report(snapshot(0)).unhealthy_reason is None
    assert reporter.report(snapshot(0, failure=LOST)).unhealthy_reason is None
    assert reporter.report(snapshot(failure=PERMANENT)).unhealthy_reason == "NVML: Unknown Error"
    assert reporter.report(snapshot(0)).unhealthy_reason is None


def test_a_hanging_thread_is_unhealthy_though_the_gpus_are_read(reporter: Reporter, logged: list[str]) -> None:
    report = reporter.report(replace(snapshot(0), hung="no answer"))
    assert (report.up, report.unhealthy_reason) == (True, "no answer")
    assert logged == ["1 of 1 GPUs are read; no answer"]


def test_only_changes_are_logged(reporter: Reporter, logged: list[str]) -> None:
    for each in (snapshot(0, 1), snapshot(0, 1), snapshot(0, failure=LOST), snapshot(0, failure=LOST), snapshot(0, 1)):
        reporter.report(each)
    assert logged == ["2 of 2 GPUs are read", "1 of 2 GPUs are read; GPU 1: NVML: GPU is lost", "2 of 2 GPUs are read"]

from dataclasses import replace

import pytest
from tests.unit.gpu_exporter.fakes import snapshot

from gpu_exporter.errors import GpuFailure, SessionFailure
from gpu_exporter.report import Reporter

LASTING = SessionFailure("NVML: Unknown Error", lasting=True)
LOST = GpuFailure("GPU 1: NVML: GPU is lost")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reporter(told: list[str]) -> Reporter:
    return Reporter(None, told.append)


def test_expected_is_the_most_that_was_seen(reporter: Reporter) -> None:
    counts = [reporter.report(snapshot(*gpus)).expected for gpus in ((), (0,), (0, 1), (0,))]
    assert counts == [0, 1, 2, 2]


def test_up_needs_all_that_are_expected_and_no_failure(reporter: Reporter) -> None:
    assert reporter.report(snapshot(0, 1)).up
    assert not reporter.report(snapshot(0)).up
    assert not reporter.report(snapshot(0, 1, failure=LOST)).up


def test_a_set_number_beats_what_was_seen(told: list[str]) -> None:
    reporter = Reporter(1, told.append)
    assert reporter.report(snapshot(0, 1)).up
    assert reporter.report(snapshot(0)).up
    assert not reporter.report(snapshot(failure=LASTING)).up


def test_the_last_success_stays(reporter: Reporter) -> None:
    assert reporter.report(snapshot(failure=LASTING)).last_success is None
    success = reporter.report(snapshot(0)).last_success
    assert success is not None
    assert reporter.report(snapshot(failure=LASTING)).last_success == success


def test_sick_is_what_worked_and_will_not_again_by_itself(reporter: Reporter) -> None:
    assert reporter.report(snapshot(failure=LASTING)).sick is None
    assert reporter.report(snapshot(0)).sick is None
    assert reporter.report(snapshot(0, failure=LOST)).sick is None
    assert reporter.report(snapshot(failure=LASTING)).sick == "NVML: Unknown Error"
    assert reporter.report(snapshot(0)).sick is None


def test_a_thread_that_hangs_is_sick_though_the_gpus_are_read(reporter: Reporter, told: list[str]) -> None:
    report = reporter.report(replace(snapshot(0), hung="no answer"))
    assert (report.up, report.sick) == (True, "no answer")
    assert told == ["1 of 1 GPUs are read; no answer"]


def test_only_changes_are_told(reporter: Reporter, told: list[str]) -> None:
    for made in (snapshot(0, 1), snapshot(0, 1), snapshot(0, failure=LOST), snapshot(0, failure=LOST), snapshot(0, 1)):
        reporter.report(made)
    assert told == ["2 of 2 GPUs are read", "1 of 2 GPUs are read; GPU 1: NVML: GPU is lost", "2 of 2 GPUs are read"]

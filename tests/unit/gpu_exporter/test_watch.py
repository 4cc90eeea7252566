import threading
import time

from tests.unit.gpu_exporter.fakes import XIDS, FakeSource, snapshot

from gpu_exporter.report import Report, Reporter
from gpu_exporter.watch import Watch


def watch(source: FakeSource, seconds: float = 5.0) -> Watch:
    return Watch(source, Reporter(None, lambda _: None), seconds)


def until_known(watch: Watch, wanted: bool = True) -> Report:
    deadline = time.monotonic() + 5
    while (report := watch.known()) is None or report.up is not wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return report


def test_it_looks_before_anybody_asks() -> None:
    source = FakeSource(snapshot(0))
    with watch(source).running():
        deadline = time.monotonic() + 5
        while source.made == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_each_question_has_a_snapshot_of_its_own_moment() -> None:
    source = FakeSource(snapshot(0), snapshot(0, 1), snapshot(0, 1, 2))
    watching = watch(source)
    with watching.running():
        until_known(watching)
        before = source.made
        watching.now()
        watching.now()
        assert source.made >= before + 1
        assert len(watching.now().snapshot.readings) == 3


def test_questions_at_the_same_time_share_the_snapshot_that_is_being_made() -> None:
    source = FakeSource(snapshot(0))
    watching = watch(source)
    with watching.running():
        watching.now()
        source.hang()
        made = source.made
        reports: list[Report] = []
        threads = [threading.Thread(target=lambda: reports.append(watching.now())) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        source.go_on()
        for thread in threads:
            thread.join()
        assert [report.up for report in reports] == [True] * 5
        assert source.made <= made + 1


def test_what_comes_back_late_is_thrown_away() -> None:
    source = FakeSource(snapshot(0), snapshot(0, seconds=9.0), snapshot(0))
    watching = watch(source, seconds=0.2)
    with watching.running():
        assert until_known(watching).up
        source.hang()
        overdue = watching.now()
        assert not overdue.up
        assert overdue.snapshot.xids == (XIDS,)  # what has happened is told even now
        source.go_on()
        report = until_known(watching)
        assert report.snapshot.seconds < 1


def test_a_hang_is_known_without_asking_for_a_scrape() -> None:
    source = FakeSource(snapshot(0))
    watching = watch(source, seconds=0.1)
    with watching.running():
        until_known(watching)
        source.hang()
        report = until_known(watching, wanted=False)
        assert report.sick == "NVML has not answered within 0.1 s"
        source.go_on()


def test_a_fault_of_the_program_is_one_failed_snapshot() -> None:
    source = FakeSource(RuntimeError("odd"), snapshot(0))
    watching = watch(source)
    with watching.running():
        seen = [watching.now() for _ in range(3)]
        assert seen[-1].up
        assert source.made >= 2


def test_at_the_end_nvml_is_let_go() -> None:
    source = FakeSource(snapshot(0))
    watching = watch(source)
    with watching.running():
        watching.now()
    assert source.closed == 1


def test_a_hung_call_keeps_the_end_waiting_only_shortly() -> None:
    source = FakeSource(snapshot(0))
    source.hang()
    watching = watch(source, seconds=0.1)
    began = time.monotonic()
    with watching.running():
        watching.now()
    assert time.monotonic() - began < 3
    source.go_on()

import threading
import time

from tests.unit.gpu_exporter.fakes import XIDS, FakeSource, snapshot

from gpu_exporter.report import Report, Reporter
from gpu_exporter.snapshot_worker import SnapshotWorker


def new_worker(source: FakeSource, seconds: float = 5.0) -> SnapshotWorker:
    return SnapshotWorker(source, Reporter(None, lambda _: None), seconds)


def wait_for_report(worker: SnapshotWorker, up: bool = True) -> Report:
    deadline = time.monotonic() + 5
    while (report := worker.latest()) is None or report.up is not up:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return report


def test_the_first_snapshot_is_taken_before_the_first_scrape() -> None:
    source = FakeSource(snapshot(0))
    with new_worker(source).running():
        deadline = time.monotonic() + 5
        while source.taken == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_each_request_gets_a_snapshot_of_its_own_moment() -> None:
    source = FakeSource(snapshot(0), snapshot(0, 1), snapshot(0, 1, 2))
    worker = new_worker(source)
    with worker.running():
        wait_for_report(worker)
        before = source.taken
        worker.collect()
        worker.collect()
        assert source.taken >= before + 1
        assert len(worker.collect().snapshot.readings) == 3


def test_simultaneous_requests_share_the_snapshot_that_is_being_taken() -> None:
    source = FakeSource(snapshot(0))
    worker = new_worker(source)
    with worker.running():
        worker.collect()
        source.hang()
        taken = source.taken
        reports: list[Report] = []
        threads = [threading.Thread(target=lambda: reports.append(worker.collect())) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        source.resume()
        for thread in threads:
            thread.join()
        assert [report.up for report in reports] == [True] * 5
        assert source.taken <= taken + 1


def test_a_late_result_is_discarded() -> None:
    source = FakeSource(snapshot(0), snapshot(0, seconds=9.0), snapshot(0))
    worker = new_worker(source, seconds=0.2)
    with worker.running():
        assert wait_for_report(worker).up
        source.hang()
        overdue = worker.collect()
        assert not overdue.up
        assert overdue.snapshot.xids == (XIDS,)  # past events are reported even now
        source.resume()
        report = wait_for_report(worker)
        assert report.snapshot.seconds < 1


def test_a_hang_is_noticed_without_a_scrape() -> None:
    source = FakeSource(snapshot(0))
    worker = new_worker(source, seconds=0.1)
    with worker.running():
        wait_for_report(worker)
        source.hang()
        report = wait_for_report(worker, up=False)
        assert report.unhealthy_reason == "NVML has not answered within 0.1 s"
        source.resume()


def test_a_bug_is_one_failed_snapshot() -> None:
    source = FakeSource(RuntimeError("odd"), snapshot(0))
    worker = new_worker(source)
    with worker.running():
        seen = [worker.collect() for _ in range(3)]
        assert seen[-1].up
        assert source.taken >= 2


def test_nvml_is_shut_down_at_the_end() -> None:
    source = FakeSource(snapshot(0))
    worker = new_worker(source)
    with worker.running():
        worker.collect()
    assert source.closed == 1


def test_a_hung_call_delays_the_end_only_briefly() -> None:
    source = FakeSource(snapshot(0))
    source.hang()
    worker = new_worker(source, seconds=0.1)
    began = time.monotonic()
    with worker.running():
        worker.collect()
    assert time.monotonic() - began < 3
    source.resume()

import threading

from gpu_exporter.xid_counters import CRITICAL, XidCounters

LABELS = (("gpu", "0"),)


def series(counters: XidCounters) -> dict[str, float]:
    return {
        f"{sample.metric.name} {dict(sample.labels)['xid']}": sample.value
        for reading in counters.readings()
        for sample in reading.samples
    }


def test_critical_xids_start_at_zero_without_a_time() -> None:
    counters = XidCounters()
    counters.track("a", LABELS)
    assert series(counters) == {f"gpu_xid_errors_total {xid}": 0 for xid in CRITICAL}
    assert counters.last("a") == 0


def test_an_event_counts_and_is_the_last() -> None:
    counters = XidCounters()
    counters.track("a", LABELS)
    for xid, when in ((31, 5.0), (79, 6.5), (31, 7.25)):
        counters.add("a", xid, when)
    found = series(counters)
    assert (found["gpu_xid_errors_total 31"], found["gpu_xid_errors_total 79"]) == (2, 1)
    assert found["gpu_xid_last_timestamp_seconds 31"] == 7.25
    assert found["gpu_xid_last_timestamp_seconds 79"] == 6.5
    assert counters.last("a") == 31


def test_a_gpu_that_is_tracked_again_keeps_its_counts_and_takes_its_new_labels() -> None:
    counters = XidCounters()
    counters.track("a", LABELS)
    counters.add("a", 79, 1.0)
    counters.track("a", (("gpu", "1"),))
    assert series(counters)["gpu_xid_errors_total 79"] == 1
    assert [reading.labels for reading in counters.readings()] == [(("gpu", "1"),)]


def test_gpus_are_counted_apart() -> None:
    counters = XidCounters()
    counters.track("a", LABELS)
    counters.track("b", (("gpu", "1"),))
    counters.add("b", 48, 1.0)
    assert (counters.last("a"), counters.last("b")) == (0, 48)


def test_threads_lose_no_event() -> None:
    counters = XidCounters()
    counters.track("a", LABELS)

    def add() -> None:
        for _ in range(500):
            counters.add("a", 13, 1.0)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert series(counters)["gpu_xid_errors_total 13"] == 2000

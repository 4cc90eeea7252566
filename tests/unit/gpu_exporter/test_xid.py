import threading

from gpu_exporter.xid import GRAVE, Ledger

LABELS = (("gpu", "0"),)


def series(ledger: Ledger) -> dict[str, float]:
    return {
        f"{sample.metric.name} {dict(sample.labels)['xid']}": sample.value
        for reading in ledger.readings()
        for sample in reading.samples
    }


def test_grave_ones_are_counted_from_nought_and_have_no_time_yet() -> None:
    ledger = Ledger()
    ledger.begin("a", LABELS)
    assert series(ledger) == {f"gpu_xid_errors_total {xid}": 0 for xid in GRAVE}
    assert ledger.last("a") == 0


def test_an_event_counts_and_is_the_last() -> None:
    ledger = Ledger()
    ledger.begin("a", LABELS)
    for xid, when in ((31, 5.0), (79, 6.5), (31, 7.25)):
        ledger.add("a", xid, when)
    found = series(ledger)
    assert (found["gpu_xid_errors_total 31"], found["gpu_xid_errors_total 79"]) == (2, 1)
    assert found["gpu_xid_last_timestamp_seconds 31"] == 7.25
    assert found["gpu_xid_last_timestamp_seconds 79"] == 6.5
    assert ledger.last("a") == 31


def test_a_gpu_that_is_begun_again_keeps_its_counts_and_takes_its_new_labels() -> None:
    ledger = Ledger()
    ledger.begin("a", LABELS)
    ledger.add("a", 79, 1.0)
    ledger.begin("a", (("gpu", "1"),))
    assert series(ledger)["gpu_xid_errors_total 79"] == 1
    assert [reading.labels for reading in ledger.readings()] == [(("gpu", "1"),)]


def test_gpus_are_counted_apart() -> None:
    ledger = Ledger()
    ledger.begin("a", LABELS)
    ledger.begin("b", (("gpu", "1"),))
    ledger.add("b", 48, 1.0)
    assert (ledger.last("a"), ledger.last("b")) == (0, 48)


def test_threads_lose_no_event() -> None:
    ledger = Ledger()
    ledger.begin("a", LABELS)

    def add() -> None:
        for _ in range(500):
            ledger.add("a", 13, 1.0)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert series(ledger)["gpu_xid_errors_total 13"] == 2000

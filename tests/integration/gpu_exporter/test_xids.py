"""XID events: waited for in a thread of its own, counted for good."""

import time

from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Exporter, Machine, absent
from tests.support.program import until

COUNT, WHEN, LAST = "gpu_xid_errors_total", "gpu_xid_last_timestamp_seconds", "DCGM_FI_DEV_XID_ERRORS"


def seen(exporter: Exporter, xid: int, count: int, **labels: str) -> None:
    """Waits until an XID is counted so often."""

    def counted() -> bool:
        found = [labels_ for labels_ in exporter.scrape().labels(COUNT) if labels_["xid"] == str(xid)]
        return bool(found) and exporter.scrape().value(COUNT, xid=str(xid), **labels) == count

    until(counted, 10, f"XID {xid} counted {count} times", pause=0.05)


def test_an_event_is_counted_with_its_number_and_its_time(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    scrape = exporter.scrape()
    assert scrape.value(LAST) == 0
    assert {labels["xid"] for labels in scrape.labels(COUNT)} == {"48", "62", "64", "74", "79", "95", "119", "120"}
    assert WHEN not in scrape.names()
    began = time.time()
    for xid in (31, 48, 31):
        machine.xid(xid)
    seen(exporter, 31, 2)
    scrape = exporter.scrape()
    assert scrape.value(LAST) == 31
    assert scrape.value(COUNT, xid="48") == 1
    assert scrape.value(COUNT, xid="79") == 0
    assert began - 1 < scrape.value(WHEN, xid="48") <= scrape.value(WHEN, xid="31") < time.time() + 1
    assert exporter.text().count("XID 31") == 1  # further ones do not bury the log
    assert scrape.value("gpu_up") == 1


def test_events_belong_to_their_gpu(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "t4")
    exporter = start(machine)
    exporter.scrape()
    machine.xid(79, gpu=1)
    seen(exporter, 79, 1, gpu="1")
    scrape = exporter.scrape()
    assert (scrape.value(COUNT, xid="79", gpu="0"), scrape.value(LAST, gpu="0"), scrape.value(LAST, gpu="1")) == (
        0,
        0,
        79,
    )


def test_the_event_that_explains_a_loss_stays_when_the_gpu_is_lost(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    exporter.scrape()
    machine.xid(79)
    until(lambda: "XID 79" in exporter.text(), 10, "the event is seen")
    machine.now("0.* error 15")
    for _ in range(3):  # NVML is started anew each time
        scrape = exporter.scrape()
        absent(scrape)
        assert LAST not in scrape.names()
        assert scrape.value(COUNT, xid="79", modelName="NVIDIA L4") == 1
    machine.now()
    until(lambda: LAST in exporter.scrape().names(), 10, "the GPU is back", pause=0.05)
    assert exporter.scrape().value(LAST) == 79
    machine.xid(79)
    seen(exporter, 79, 2)


def test_one_lost_gpu_does_not_end_the_events_of_the_other(start: Start, machine: Machine) -> None:
    machine = Machine(machine.file.parent, "t4")
    exporter = start(machine)
    exporter.scrape()
    machine.now("0.* error 15")
    for count in (1, 2):
        absent(exporter.scrape(), visible=1)
        machine.xid(48, gpu=1)
        seen(exporter, 48, count, gpu="1")


def test_a_card_without_events_has_no_series_of_them(start: Start, machine: Machine) -> None:
    machine.now("0.nvmlDeviceGetSupportedEventTypes 0x4")
    exporter = start(machine)
    scrape = exporter.scrape()
    exporter.scrape()
    assert scrape.value("gpu_up") == 1
    assert not {COUNT, LAST, WHEN} & scrape.names()
    assert exporter.text().count("does not give XID events: NVML: not among its events") == 1


def test_a_card_that_refuses_them_does_not_fail_the_collection(start: Start, machine: Machine) -> None:
    machine.now("0.nvmlDeviceRegisterEvents error 999")
    exporter = start(machine)
    for _ in range(2):
        scrape = exporter.scrape()
        assert scrape.value("gpu_up") == 1
        assert LAST not in scrape.names()
    assert exporter.text().count("XID events cannot be waited for: NVML: Unknown Error") == 1
    assert exporter.get("/healthz")[0] == 200
    machine.now()
    until(lambda: LAST in exporter.scrape().names(), 10, "events after all", pause=0.05)


def test_a_failed_wait_for_events_is_restarted(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    exporter.scrape()
    machine.now("nvmlEventSetWait_v2 error 999")
    until(lambda: LAST not in exporter.scrape().names(), 10, "no more events", pause=0.05)
    scrape = exporter.scrape()
    assert scrape.value("gpu_up") == 1
    assert scrape.value(COUNT, xid="79") == 0
    machine.now()
    until(lambda: LAST in exporter.scrape().names(), 10, "events again", pause=0.05)
    machine.xid(79)
    seen(exporter, 79, 1)


def test_a_hung_wait_delays_no_scrape_and_is_unhealthy(start: Start, machine: Machine) -> None:
    exporter = start(machine, TIMEOUT="0.5")
    assert exporter.scrape().value(LAST) == 0
    machine.now("nvmlEventSetWait_v2 hang")
    until(lambda: exporter.get("/healthz")[0] == 503, 10, "a failing health check", pause=0.1)
    began = time.monotonic()
    scrape = exporter.scrape()
    assert time.monotonic() - began < 2
    assert scrape.value("gpu_up") == 1
    assert scrape.value("DCGM_FI_DEV_POWER_USAGE") == 71.962
    assert LAST not in scrape.names()
    reason = "NVML has not come back from waiting for events within 0.5 s: this container has to be recreated\n"
    assert exporter.get("/healthz") == (503, reason)
    machine.now()
    until(lambda: exporter.get("/healthz")[0] == 200, 10, "the wait came back", pause=0.1)
    until(lambda: LAST in exporter.scrape().names(), 10, "events again", pause=0.05)


def test_a_wait_that_hangs_at_the_start_does_not_delay_a_scrape(start: Start, machine: Machine) -> None:
    machine.now("nvmlEventSetCreate hang")
    scrape = start(machine, TIMEOUT="1").scrape()
    assert scrape.value("gpu_up") == 1
    assert LAST not in scrape.names()
    machine.now()

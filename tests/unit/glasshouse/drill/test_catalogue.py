import pytest

from glasshouse.drill.catalogue import FAULTS, NOT_DRILLED
from glasshouse.drill.fault import Fault
from observability.alerts import all_alerts

DRILLED = {alert for fault in FAULTS for alert in fault.alerts}


def test_every_alert_has_a_fault_or_a_reason_why_it_has_none() -> None:
    missing = {alert.name for alert in all_alerts()} - DRILLED - NOT_DRILLED.keys()
    assert not missing, (
        f"{sorted(missing)}: in client/src/glasshouse/drill/catalogue.py, add each to the `alerts` of a fault that "
        "fires it (a line in a page of pages.py may do), or to NOT_DRILLED with the reason"
    )


def test_every_name_is_that_of_an_alert() -> None:
    gone = (DRILLED | NOT_DRILLED.keys()) - {alert.name for alert in all_alerts()}
    assert not gone, f"{sorted(gone)}: no longer an alert; remove or rename it in catalogue.py"


def test_no_alert_is_both() -> None:
    assert not DRILLED & NOT_DRILLED.keys()


def test_the_names_of_faults_are_distinct() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_does_one_thing(fault: Fault) -> None:
    assert sum(each is not None for each in (fault.stops, fault.endpoint, fault.load, fault.page)) == 1
    assert (fault.page is None) == (fault.job is None)
    assert fault.kind == ("real" if fault.stops else "synthetic" if fault.page else "stand-in")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.page], ids=lambda fault: fault.name)
def test_counters_of_a_page_never_fall(fault: Fault) -> None:
    assert fault.page is not None
    before: dict[str, float] = {}
    for seconds in range(0, 1500, 5):
        now = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in fault.page(seconds).splitlines())}
        assert all(now[name] >= before.get(name, 0) for name in now if "_total" in name or "_bucket" in name)
        before = now

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.glasshouse.conftest import FakeApi
from tests.unit.glasshouse.drill.conftest import SILENCE, SILENCES, FakeRig

from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Grafana
from glasshouse.drill.injection import Injection, undo_all
from glasshouse.drill.journal import Changes, Journal
from glasshouse.errors import DrillError, StackError

BY_NAME = {fault.name: fault for fault in FAULTS}


def no_engine() -> str:
    raise DrillError("There is one ready engine.")


@pytest.fixture
def injection(rig: FakeRig, grafana: Grafana, journal: Journal) -> Injection:
    injection = Injection(rig, grafana, journal, no_engine)
    injection.begin()
    return injection


def instances(rig: FakeRig) -> list[str]:
    file = rig.directory / "targets.json"
    return [target["labels"]["instance"] for target in json.loads(file.read_text())] if file.exists() else []


def certificate_days(rig: FakeRig) -> int:
    found = x509.load_pem_x509_certificate((rig.directory / "cert.pem").read_bytes())
    return round((found.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400)


def test_a_part_is_stopped_after_its_alert_is_silenced_and_noted(
    rig: FakeRig, injection: Injection, journal: Journal, fake_api: FakeApi
) -> None:
    fault = BY_NAME["part-down"]
    assert injection.put_in(fault) == "node-exporter:9100"
    assert rig.done[-1] == "stop node-exporter"
    assert journal.read() == Changes(("node-exporter",), ("an-id",))
    (body,) = [body for path, _, body in fake_api.requests if path == SILENCES]
    assert body["matchers"] == [
        {"name": "instance", "value": "node-exporter:9100", "isEqual": True, "isRegex": False},
        {"name": "vm", "value": "drill", "isEqual": False, "isRegex": False},
    ]
    injection.undo(fault)
    assert rig.done[-1] == "start node-exporter"
    assert journal.read() == Changes()
    assert fake_api.requests[-1][0] == SILENCE
    assert instances(rig) == ["node-exporter:9100"]  # until Prometheus has seen that it is back
    injection.forget(fault)
    assert instances(rig) == []


def test_nothing_is_stopped_where_its_alert_cannot_be_silenced(
    rig: FakeRig, injection: Injection, fake_api: FakeApi
) -> None:
    fake_api.answers[SILENCES] = (500, {"message": "no"})
    with pytest.raises(DrillError, match="no silence"):
        injection.put_in(BY_NAME["part-down"])
    assert rig.done == ["start stand-ins"]


def test_no_engine_is_stopped_that_is_needed(rig: FakeRig, injection: Injection, journal: Journal) -> None:
    with pytest.raises(DrillError, match="one ready engine"):
        injection.put_in(BY_NAME["engine-stopped"])
    assert rig.done == ["start stand-ins"]
    assert journal.read() == Changes()


def test_a_part_that_does_not_run_is_left_alone(rig: FakeRig, injection: Injection) -> None:
    rig.parts = {}
    with pytest.raises(DrillError, match="node-exporter does not run"):
        injection.put_in(BY_NAME["part-down"])


def test_the_certificate_is_the_drills_own(rig: FakeRig, injection: Injection) -> None:
    fault = BY_NAME["short-certificate"]
    assert injection.put_in(fault) == "https://drill:8443/short-certificate"
    assert certificate_days(rig) == 3
    assert (rig.directory / "short-certificate.status").read_text() == "200"
    injection.undo(fault)
    assert certificate_days(rig) == 90


def test_an_endpoint_answers_again_once_its_fault_is_undone(rig: FakeRig, injection: Injection) -> None:
    fault = BY_NAME["endpoint-down"]
    injection.put_in(fault)
    assert (rig.directory / "endpoint-down.status").read_text() == "503"
    injection.undo(fault)
    assert (rig.directory / "endpoint-down.status").read_text() == "200"


def test_requests_are_for_the_drills_gateway_with_a_key_of_its_own(rig: FakeRig, injection: Injection) -> None:
    fault = BY_NAME["failing-requests"]
    assert injection.put_in(fault) == "gateway:9091"
    load = json.loads((rig.directory / "load.json").read_text())
    assert load["url"] == "http://gateway:8000"
    (key,) = json.loads((rig.directory / "keys.yaml").read_text())["keys"]
    assert (key["name"], len(key["sha256"])) == ("drill", 64)
    injection.undo(fault)
    assert not (rig.directory / "load.json").exists()


def test_a_wrong_key_is_one_that_the_drills_gateway_does_not_know(rig: FakeRig, injection: Injection) -> None:
    keys = []
    for name in ("failing-requests", "wrong-key"):
        injection.put_in(BY_NAME[name])
        keys.append(hashlib.sha256(json.loads((rig.directory / "load.json").read_text())["key"].encode()).hexdigest())
    (known,) = json.loads((rig.directory / "keys.yaml").read_text())["keys"]
    assert [key == known["sha256"] for key in keys] == [True, False]


def test_faults_on_the_same_target_are_scraped_once(rig: FakeRig, injection: Injection) -> None:
    for name in ("failing-requests", "late-first-tokens", "gpu"):
        injection.put_in(BY_NAME[name])
    assert instances(rig) == ["gateway:9091", "drill-gpu"]
    injection.undo(BY_NAME["failing-requests"])
    injection.forget(BY_NAME["failing-requests"])
    assert instances(rig) == ["gateway:9091", "drill-gpu"]


def test_a_page_is_written_anew_and_its_target_goes_with_its_fault(rig: FakeRig, injection: Injection) -> None:
    fault = BY_NAME["gpu"]
    injection.put_in(fault)
    page = rig.directory / "gpu.metrics"
    before = page.read_text()
    injection.refresh(fault, 120)
    assert page.read_text() != before
    injection.undo(fault)
    assert instances(rig) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_all_is_undone_from_the_journal_alone(
    rig: FakeRig, journal: Journal, grafana: Grafana, fault: Fault, tmp_path: Path
) -> None:
    """As after a kill -9: only the file and the directory are left."""
    rig.directory.mkdir()
    (rig.directory / ".gitignore").touch()
    injection = Injection(rig, grafana, journal, lambda: "node-exporter")
    injection.begin()
    injection.put_in(fault)
    rig.done.clear()
    undo_all(rig, Journal(tmp_path / "drill.json"), grafana)
    assert rig.done == [*(["start node-exporter"] if fault.stops else []), "remove stand-ins"]
    assert [path.name for path in rig.directory.iterdir()] == [".gitignore"]
    assert not journal.is_open


def test_what_cannot_be_undone_stays_in_the_journal(rig: FakeRig, injection: Injection, journal: Journal) -> None:
    injection.put_in(BY_NAME["part-down"])
    rig.broken = {"start node-exporter"}
    with pytest.raises(StackError, match="cannot start node-exporter"):
        undo_all(rig, journal, None)
    assert journal.read().stopped == ("node-exporter",)
    rig.broken = set()
    undo_all(rig, journal, None)
    assert not journal.is_open


def test_a_grafana_that_is_gone_keeps_nothing_from_being_undone(
    rig: FakeRig, injection: Injection, journal: Journal, fake_api: FakeApi
) -> None:
    injection.put_in(BY_NAME["part-down"])
    fake_api.answers.clear()
    undo_all(rig, journal, Grafana(rig.grafana))
    assert rig.done[-2:] == ["start node-exporter", "remove stand-ins"]
    assert not journal.is_open

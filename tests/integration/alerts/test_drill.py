"""What a drill puts in fires its alerts in a real Prometheus, through the shipped job `drill`, and nothing stays of it.

Every duration is a thirtieth of what runs in production. Grafana, the blackbox exporter
and node-exporter are not here: `make test-grafana` has them.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.integration.alerts.compressed_prometheus import wait
from tests.support.drill import NativeRig, drill_job
from tests.support.program import free_port
from tests.support.prometheus import Prometheus
from tests.support.time_compression import compress_alert, compressed_recording_rules

from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Grafana
from glasshouse.drill.injection import Injection, clear
from glasshouse.drill.journal import Journal
from glasshouse.stack.rig import GrafanaAccess
from observability import rule_files
from observability.alerts import all_alerts

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.timeout(400),
]
_TIMEOUT_S = 120.0
# Slow streams take seconds each: enough of them must end within a window.
DIVISOR = 30
SYNTHETIC = [fault for fault in FAULTS if fault.page is not None]
LOADS = [fault for fault in FAULTS if fault.load is not None]


class Drilled:
    """A Prometheus with compressed rules, and an injection whose targets it scrapes."""

    def __init__(self, directory: Path, exits: contextlib.ExitStack) -> None:
        password = directory / "password"
        password.write_text("unused")
        access = GrafanaAccess("http://127.0.0.1:1", None, password)
        self.rig = NativeRig(directory, blackbox="127.0.0.1:1", grafana=access)
        exits.callback(self.rig.remove_stand_ins)
        self.injection = Injection(self.rig, Grafana(access), Journal(directory / "drill.json"), lambda: "")
        rules = rule_files.prometheus_rules([compress_alert(alert, DIVISOR) for alert in all_alerts()])
        for group in rules["groups"]:  # type: ignore[attr-defined]  # JSON
            group["interval"] = "600ms"
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "rule_files": ["recording.yml", "alerts.yml"],
            "scrape_configs": [drill_job(directory)],
        }
        files = {"alerts.yml": rules, "recording.yml": compressed_recording_rules(DIVISOR)}
        self.prometheus = Prometheus(directory / "prometheus", free_port(), config, files)
        exits.callback(self.prometheus.stop)

    def firing(self, instances: Sequence[str]) -> set[str]:
        """The alerts that fire for these instances, or for the drill's VM."""
        found = [series["metric"] for series in self.prometheus.ask('ALERTS{alertstate="firing"}')]
        return {each["alertname"] for each in found if each.get("instance", instances[0]) in instances}

    def fires_and_resolves(self, faults: Sequence[Fault]) -> None:
        """Puts faults in, waits for all of their alerts, undoes them, and waits for the end of the alerts."""
        expected = {alert for fault in faults for alert in fault.alerts}
        instances = [self.injection.put_in(fault) for fault in faults]
        began = time.monotonic()

        def refresh() -> None:
            for fault in faults:
                self.injection.refresh(fault, (time.monotonic() - began) * DIVISOR)

        fired = wait(lambda: expected <= self.firing(instances), _TIMEOUT_S, refresh)
        assert fired is not None, f"silent: {expected - self.firing(instances)}"
        for fault in faults:
            self.injection.undo(fault)
            self.injection.forget(fault)
        resolved = wait(lambda: not expected & self.firing(instances), _TIMEOUT_S, lambda: None)
        assert resolved is not None, f"firing: {expected & self.firing(instances)}"


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drilled]:
    with contextlib.ExitStack() as exits:
        drilled = Drilled(tmp_path_factory.mktemp("drill"), exits)
        drilled.injection.begin()
        yield drilled


def test_metrics_pages_fire_their_alerts(drilled: Drilled) -> None:
    drilled.fires_and_resolves(SYNTHETIC)


@pytest.mark.parametrize("fault", LOADS, ids=[fault.name for fault in LOADS])
def test_requests_to_the_drills_gateway_fire_their_alerts(drilled: Drilled, fault: Fault) -> None:
    drilled.fires_and_resolves([fault])


def test_every_series_of_a_drill_says_so(drilled: Drilled) -> None:
    series = drilled.prometheus.ask('last_over_time({job!="", __name__!~"ALERTS.*"}[1h])')
    assert {each["metric"]["vm"] for each in series} == {"drill"}


def test_nothing_is_scraped_once_the_directory_is_empty(drilled: Drilled) -> None:
    drilled.injection.put_in(SYNTHETIC[0])
    assert wait(lambda: bool(drilled.prometheus.ask("up")), 60, lambda: None) is not None
    clear(drilled.rig.directory)
    assert wait(lambda: not drilled.prometheus.ask("up"), 60, lambda: None) is not None

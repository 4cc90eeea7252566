import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.unit.glasshouse.drill.conftest import FakeRig

from glasshouse.drill import session
from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.grafana import Attempt, Grafana, Rule
from glasshouse.drill.injection import Injection
from glasshouse.drill.journal import Journal
from glasshouse.drill.session import Session
from glasshouse.errors import ApiError, DrillError, StackError

BY_NAME = {fault.name: fault for fault in FAULTS}
PART, ENGINE, GPU = BY_NAME["part-down"], BY_NAME["engine-stopped"], BY_NAME["gpu"]


@dataclass
class ScriptedGrafana:
    """A Grafana in which the alerts of a fault fire while it is in, and are delivered at once."""

    rig: FakeRig
    silent: set[str] = field(default_factory=set)
    answers: Callable[[], bool] = lambda: True
    scrapes: bool = True
    shown: list[str] = field(default_factory=list)

    def rules(self) -> dict[str, Rule]:
        if not self.answers():
            raise ApiError("Nothing answers")
        down = sum(
            {"stop": 1, "start": -1}.get(done.split()[0], 0) for done in self.rig.done if "stand-ins" not in done
        )
        part = ({"vm": "drill", "instance": "node-exporter:9100"},) if down else ()
        firing = {"TargetDown": part, **dict.fromkeys(GPU.alerts, self._page("drill-gpu"))}
        return {name: Rule(name, 0, () if name in self.silent else found) for name, found in firing.items()}

    def attempts(self) -> tuple[Attempt, ...]:
        return (Attempt(time.time() + 60, ""),)

    def series(self, _expression: str) -> list[dict[str, str]]:
        return [{"vm": "drill"}] if self.scrapes else []

    def silence(self, *_: object) -> str:
        return "an-id"

    def expire(self, _silence: str) -> None:
        pass

    def _page(self, instance: str) -> tuple[dict[str, str], ...]:
        file = self.rig.directory / "targets.json"
        found = json.loads(file.read_text()) if file.exists() else []
        return ({"vm": "drill", "instance": instance},) if instance in str(found) else ()


@pytest.fixture
def scripted(rig: FakeRig, monkeypatch: pytest.MonkeyPatch) -> ScriptedGrafana:
    monkeypatch.setattr(session, "_POLL_S", 0.001)
    return ScriptedGrafana(rig)


def drill(scripted: ScriptedGrafana, journal: Journal) -> Session:
    def none_spare() -> str:
        raise DrillError("There is one ready engine.")

    grafana: Grafana = scripted  # type: ignore[assignment]  # it has the methods that are called
    return Session(grafana, Injection(scripted.rig, grafana, journal, none_spare), scripted.shown.append)


def test_faults_are_put_in_one_after_the_other_and_undone(
    scripted: ScriptedGrafana, rig: FakeRig, journal: Journal
) -> None:
    result = drill(scripted, journal).run([PART, GPU])
    assert result.is_complete
    assert [sighting.alert for each in result.faults for sighting in each.sightings] == [*PART.alerts, *GPU.alerts]
    assert rig.done == ["start stand-ins", "stop node-exporter", "start node-exporter"]
    assert json.loads((rig.directory / "targets.json").read_text()) == []
    assert any(
        text.startswith("part-down: node-exporter is stopped; waiting for TargetDown") for text in scripted.shown
    )


def test_a_fault_that_cannot_be_put_in_is_skipped_with_its_reason(
    scripted: ScriptedGrafana, rig: FakeRig, journal: Journal
) -> None:
    rig.broken = {"stop node-exporter"}
    result = drill(scripted, journal).run([ENGINE, PART, GPU])
    assert [each.skipped for each in result.faults] == ["There is one ready engine.", "cannot stop node-exporter", ""]
    assert result.is_complete
    assert rig.done[-1] == "start node-exporter"  # whether it was stopped or not


def test_what_does_not_fire_is_given_up_after_its_time(
    scripted: ScriptedGrafana, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.silent = {"TargetDown"}
    monkeypatch.setattr("glasshouse.drill.watch._EVALUATIONS_S", -80)
    result = drill(scripted, journal).run([PART])
    assert not result.is_complete
    assert result.faults[0].sightings[0].fired_s is None


def test_what_fires_already_is_told(scripted: ScriptedGrafana, rig: FakeRig, journal: Journal) -> None:
    rig.done.append("stop node-exporter")
    result = drill(scripted, journal).run([])
    assert result.firing_before == ["TargetDown"]


def test_a_prometheus_that_does_not_know_the_drill_is_named(
    scripted: ScriptedGrafana, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.scrapes = False
    monkeypatch.setattr(session, "_SCRAPED_S", 0.01)
    with pytest.raises(DrillError, match="docker compose restart prometheus"):
        drill(scripted, journal).run([GPU])


def test_a_stand_in_that_does_not_answer_skips_its_fault(
    scripted: ScriptedGrafana, rig: FakeRig, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "series", lambda expression: [] if "== 1" in expression else [{"vm": "drill"}])
    monkeypatch.setattr(session, "_SCRAPED_S", 0.01)
    result = drill(scripted, journal).run([GPU, PART])
    assert "drill-gpu does not answer Prometheus" in result.faults[0].skipped
    assert result.faults[1].sightings[0].is_complete
    assert "drill-gpu" not in (rig.directory / "targets.json").read_text()


def test_grafana_may_be_away_for_a_moment_but_not_for_long(
    scripted: ScriptedGrafana, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, False, False])
    scripted.answers = lambda: next(answers, True)
    assert drill(scripted, journal).run([GPU]).is_complete
    answers = iter([True])
    scripted.answers = lambda: next(answers, False)
    monkeypatch.setattr(session, "_UNANSWERED_S", 0.01)
    with pytest.raises(ApiError):
        drill(scripted, journal).run([GPU])


def test_a_part_that_cannot_be_started_again_ends_the_drill(
    scripted: ScriptedGrafana, rig: FakeRig, journal: Journal
) -> None:
    rig.broken = {"start node-exporter"}
    with pytest.raises(StackError, match="cannot start node-exporter"):
        drill(scripted, journal).run([PART, GPU])
    assert journal.read().stopped == ("node-exporter",)

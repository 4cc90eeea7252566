"""A rig that notes what is done to it, and a Grafana whose answers a test sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse.drill.grafana import Grafana
from glasshouse.drill.journal import Journal
from glasshouse.errors import StackError
from glasshouse.stack.rig import GrafanaAccess, ScrapeTarget, StandIns

RULES = "/grafana/api/prometheus/grafana/api/v1/rules"
RECEIVERS = "/grafana/api/alertmanager/grafana/config/api/v1/receivers"
SILENCES = "/grafana/api/alertmanager/grafana/api/v2/silences"
SILENCE = "/grafana/api/alertmanager/grafana/api/v2/silence/an-id"


@dataclass
class FakeRig:
    """See `glasshouse.stack.rig.Rig`; `done` has what was asked of it, `broken` what fails."""

    directory: Path
    grafana: GrafanaAccess
    parts: Mapping[str, ScrapeTarget] = field(
        default_factory=lambda: {"node-exporter": ScrapeTarget("node-exporter", "node-exporter:9100")}
    )
    done: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    stand_ins: StandIns = field(
        default_factory=lambda: StandIns("drill:9400", "drill:8443", "gateway:8000", "gateway:9091", "blackbox:9115")
    )

    def stop(self, part: str) -> None:
        self._do(f"stop {part}")

    def start(self, part: str) -> None:
        self._do(f"start {part}")

    def start_stand_ins(self) -> None:
        self._do("start stand-ins")

    def remove_stand_ins(self) -> None:
        self._do("remove stand-ins")

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.broken:
            raise StackError(f"cannot {what}")


@pytest.fixture
def access(fake_api: FakeApi, tmp_path: Path) -> GrafanaAccess:
    password = tmp_path / "grafana-password"
    password.write_text("a password\n")
    fake_api.answers |= {
        RULES: (200, rules()),
        RECEIVERS: (200, receivers()),
        SILENCES: (202, {"silenceID": "an-id"}),
        SILENCE: (200, {}),
    }
    return GrafanaAccess(fake_api.url, None, password)


@pytest.fixture
def grafana(access: GrafanaAccess) -> Grafana:
    return Grafana(access)


@pytest.fixture
def rig(tmp_path: Path, access: GrafanaAccess) -> FakeRig:
    return FakeRig(tmp_path / "drill", access)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "drill.json").begin()


def rules(**firing: dict[str, str]) -> dict[str, object]:
    """What Grafana answers: two rules, with the labels of a firing instance by the rule's name."""
    found = [
        {
            "name": name,
            "duration": seconds,
            "alerts": [{"state": "Alerting", "labels": firing[name]}] if name in firing else [],
        }
        for name, seconds in (("TargetDown", 120), ("GpuLost", 120), ("AvailabilityBudgetBurnSlow", 900), ("Mine", 0))
    ]
    return {"data": {"groups": [{"rules": found}]}}


def receivers(at: str = "0001-01-01T00:00:00.000Z", error: str = "") -> list[dict[str, object]]:
    """What Grafana answers: one contact point."""
    integration = {"name": "webhook[0]", "lastNotifyAttempt": at, "lastNotifyAttemptError": error}
    return [{"name": "glasshouse", "integrations": [integration]}, {"name": "empty"}]

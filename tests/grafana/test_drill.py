"""A drill in a real Grafana, with the alerts as shipped: fired, delivered as a drill, resolved, and nothing left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.drill import NativeRig
from tests.support.grafana.server import PASSWORD, Grafana
from tests.support.grafana.stack import Stack
from tests.support.grafana.webhook import WebhookReceiver

from glasshouse.drill import command
from glasshouse.drill.command import Options
from glasshouse.errors import ExitCode
from glasshouse.settings import load

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[2]
FAULTS = ("part-down", "endpoint-down", "failing-requests")


@dataclass
class DrilledStack:
    """A stack, as far as a drill asks it."""

    the_rig: NativeRig

    def rig(self) -> NativeRig:
        return self.the_rig


def test_a_drill_with_the_alerts_as_shipped(
    stack: Stack, grafana: Grafana, receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grafana, "it evaluates the alerts"
    password = tmp_path / "grafana-password"
    password.write_text(PASSWORD)
    rig = stack.rig(password)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    monkeypatch.setattr("glasshouse.drill.command.detect.running", lambda _: DrilledStack(rig))
    settings = load(ROOT, {"RUN_DIR": str(run_dir)})
    report = tmp_path / "report.md"
    status = command.run(settings, Options(only=FAULTS, assume_yes=True, report=report))
    assert status == ExitCode.SUCCESS, report.read_text()
    assert delivered(receiver, "[DRILL]"), "the notifications say that it is a drill"
    assert [path for path in rig.directory.iterdir() if path.is_file()] == []
    assert list(run_dir.glob("drill.json")) == []


def delivered(receiver: WebhookReceiver, prefix: str) -> dict[str, Any]:
    """The notifications of the drill, by alert; every one of a drilled alert begins with the prefix."""
    found = {alert["labels"]["alertname"]: alert for alert in receiver.all() if alert["labels"].get("vm") == "drill"}
    assert all(alert["title"].startswith(prefix) for alert in found.values())
    down = [alert for alert in receiver.all() if alert["labels"]["alertname"] == "TargetDown"]
    assert all(alert["labels"].get("vm") == "drill" for alert in down if "node-exporter" in str(alert["labels"]))
    return found

"""Each metrics page fires the alerts of its fault, as shipped, with the label that tells a drill from the rest."""

import itertools
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.generated_files import ROOT

from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.fault import Fault
from observability.alerts import all_alerts

SYNTHETIC = [fault for fault in FAULTS if fault.page is not None]
_STEP_S = 15
_MINUTES = re.compile(r"(\d+)m")
_SERIES = re.compile(r"([\w:]+)(?:\{(.*)\})?")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_a_page_fires_the_alerts_of_its_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = [_test(fault, monkeypatch) for fault in SYNTHETIC]
    document = {
        "rule_files": [str(ROOT / "prometheus/rules/alerts.yml")],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    file = tmp_path / "pages.test.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The page as series of a Prometheus whose time begins at 0, and the question whether each alert fires."""
    seconds = int(fault.lead_s) + max(_for_seconds(alert) for alert in fault.alerts) + 120
    values: dict[str, list[float]] = defaultdict(list)
    for now in range(0, seconds + _STEP_S, _STEP_S):
        monkeypatch.setattr("glasshouse.drill.pages.time.time", lambda now=now: float(now))
        for series, value in _samples(fault, now):
            values[series].append(value)
    firing = 'count(ALERTS{{alertname="{}", alertstate="firing", vm="drill"}}) > bool 0'
    return {
        "name": fault.name,
        "interval": f"{_STEP_S}s",
        "input_series": [
            {"series": series, "values": " ".join(f"{value:.15g}" for value in found)}
            for series, found in values.items()
        ],
        "promql_expr_test": [
            {
                "expr": firing.format(alert),
                "eval_time": f"{seconds}s",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for alert in fault.alerts
        ],
    }


def _samples(fault: Fault, seconds: float) -> Iterator[tuple[str, float]]:
    assert fault.page is not None
    target = f'job="{fault.job}", instance="drill-{fault.name}", vm="drill"'
    page = (line.rsplit(" ", 1) for line in fault.page(seconds).splitlines())
    for series, value in itertools.chain([("up", "1")], page):
        found = _SERIES.fullmatch(series)
        assert found is not None, series
        labels = ", ".join(filter(None, (found[2], target)))
        yield f"{found[1]}{{{labels}}}", float(value)


def _for_seconds(alert: str) -> int:
    (text,) = [each.for_ for each in all_alerts() if each.name == alert]
    minutes = _MINUTES.fullmatch(text)
    return int(minutes[1]) * 60 if minutes else 0

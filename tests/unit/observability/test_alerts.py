import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.observability.parts import ROOT, dashboard_files, generated_yaml, panels

from observability.alerts import contact, grafana, rules
from observability.provisioning import DASHBOARD_FOLDER, DATASOURCE_UID

CASES = Path(__file__).parent / "alerts.test.yml"
_NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def provisioned() -> list[dict[str, Any]]:
    (group,) = generated_yaml("grafana/provisioning/alerting/rules.yaml")["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@_NEEDS_PROMTOOL
def test_every_alert_fires_and_stays_silent(tmp_path: Path) -> None:
    file = tmp_path / "alerts.test.yml"
    text = CASES.read_text(encoding="utf-8")
    file.write_text(text.replace("[RULES]", f'["{ROOT / "prometheus/rules/alerts.yml"}"]'), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@_NEEDS_PROMTOOL
def test_prometheus_accepts_the_rules() -> None:
    file = ROOT / "prometheus/rules/alerts.yml"
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_left_out_of_the_cases() -> None:
    cases = [check for case in yaml.safe_load(CASES.read_text())["tests"] for check in case["alert_rule_test"]]
    names = {alert.name for alert in rules.every()}
    assert {check["alertname"] for check in cases if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in cases if not check.get("exp_alerts")} == names


def test_each_rule_has_what_grafana_needs_to_start() -> None:
    for rule in provisioned():
        assert rule.keys() >= {"uid", "title", "condition", "data", "noDataState", "execErrState", "for"}
        assert re.fullmatch(r"[a-z-]{1,40}", rule["uid"])
        query, condition = rule["data"]
        assert query["datasourceUid"] == DATASOURCE_UID
        assert query["model"]["refId"] == query["refId"]
        assert condition["datasourceUid"] == condition["model"]["datasource"]["uid"] == "__expr__"
        assert condition["model"]["expression"] == query["refId"]
        assert condition["refId"] == rule["condition"]
        for part in rule["data"]:
            span = part["relativeTimeRange"]
            assert isinstance(span["from"], int)
            assert span["from"] > span["to"]


def test_uids_and_titles_are_unique_and_the_folder_is_not_the_dashboards() -> None:
    for key in ("uid", "title"):
        values = [rule[key] for rule in provisioned()]
        assert len(set(values)) == len(values)
    assert grafana.FOLDER != DASHBOARD_FOLDER


def test_labels_hold_nothing_that_grafana_would_fill_in_from_its_environment() -> None:
    for rule in provisioned():
        assert "$" not in "".join(rule["labels"].values())
        assert "${" not in str(rule["annotations"])


def test_only_the_alert_on_targets_fires_when_prometheus_is_gone() -> None:
    assert [rule["title"] for rule in provisioned() if rule["execErrState"] != "OK"] == ["TargetDown"]


def test_each_alert_links_to_a_panel_that_exists() -> None:
    shown = {(board["uid"], str(panel["id"])) for board in dashboard_files() for panel in panels(board)}
    for rule in provisioned():
        assert (rule["annotations"]["__dashboardUid__"], rule["annotations"]["__panelId__"]) in shown


def test_each_alert_has_its_heading_in_the_runbook_which_ends_in_checks_to_paste() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == {alert.name for alert in rules.every()}
    for alert in rules.every():
        assert alert.runbook == f"docs/runbook.md#{alert.name.lower()}"
        assert sections[alert.name].rstrip().endswith("```"), alert.name


@pytest.mark.parametrize("kind", contact.kinds())
def test_everything_reaches_the_contact_point_of_each_kind(kind: str) -> None:
    (point,) = generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"]
    (tree,) = generated_yaml("grafana/provisioning/alerting/policies.yaml")["policies"]
    assert {tree["receiver"], *(route["receiver"] for route in tree["routes"])} == {point["name"]}
    severities = {alert.severity for alert in rules.every()}
    assert {route["object_matchers"][0][2] for route in tree["routes"]} <= severities


def test_another_kind_takes_the_place_of_the_last_one() -> None:
    points = [generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"][0] for kind in contact.kinds()]
    assert len({receiver["uid"] for point in points for receiver in point["receivers"]}) == 1


def test_compose_mounts_the_kind_that_is_named_and_nobody_is_the_default() -> None:
    grafana_service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    (mount,) = [one for one in grafana_service["volumes"] if "contact-points" in str(one)]
    assert mount["source"] == "./grafana/contact-points/${ALERTS_TO:-nobody}.yaml"
    assert mount["target"] == "/etc/grafana/provisioning/alerting/contact-points.yaml"
    (point,) = generated_yaml("grafana/contact-points/nobody.yaml")["contactPoints"]
    assert "$" not in str(point)  # nothing that could be missing

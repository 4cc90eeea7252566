import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.generated_files import ROOT, dashboard_files, generated_yaml, panels, recording_groups

from observability import rule_files, settings
from observability.alerts import all_alerts
from observability.alerts.alert import VALUE
from observability.provisioning import DASHBOARD_FOLDER, DATASOURCE_UID
from observability.recording import reconciliation, slo

CASES = sorted((Path(__file__).parent / "alerts").glob("*.test.yml"))
HEALTHY = Path(__file__).parent / "alerts/healthy.test.yml"
# What a command of the runbook may start with, so that it can be pasted as it is.
RUNNABLE = (
    "timedatectl",
    "chronyc ",
    "docker ",
    "curl ",
    "make ",
    "nvidia-smi",
    "df ",
    "echo | openssl ",
    "sudo dmesg",
    "uptime",
    "# without Docker",
)
# Parts that the native stack does not have: GPUs and the exporters.
ONLY_IN_DOCKER = {"GpuLost", "GpuXidError", "GpuThrottled", "GpuMemoryLow", "GpuMetricsStale", "ClockSkew"}
GATEWAY_METRICS = (Path(__file__).parent / "golden/gateway.metrics").read_text(encoding="utf-8")
_NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def provisioned() -> list[dict[str, Any]]:
    (group,) = generated_yaml("grafana/provisioning/alerting/rules.yaml")["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def rules_for(cases: dict[str, Any]) -> dict[str, Any]:
    """The rules that the cases need, since promtool evaluates every rule of its files at each step.

    The summary is the only annotation left of an alert: promtool requires all annotations in every case.
    """
    names = {check["alertname"] for case in cases["tests"] for check in case["alert_rule_test"]}
    (group,) = generated_yaml("prometheus/rules/alerts.yml")["groups"]
    alerts = [rule for rule in group["rules"] if rule["alert"] in names]
    for alert in alerts:
        alert["annotations"] = {"summary": alert["annotations"]["summary"]}
    groups = [group | {"rules": alerts}]
    if cases.pop("recorded", "true") == "true" and any(
        "slo:" in alert["expr"] or "reconciliation:" in alert["expr"] for alert in alerts
    ):
        recorded = recording_groups(slo.group().name, reconciliation.group().name)
        groups = recorded["groups"] + groups
    return {"groups": groups}


def beside_a_healthy_vm(cases: Path) -> dict[str, Any]:
    """The cases on VM a, and the healthy stack on VM b; a case with `alone` has no VM b."""
    document, healthy_document = (_as_strings(path) for path in (cases, HEALTHY))
    healthy = healthy_document["tests"][0]["input_series"]
    for case in document["tests"]:
        others = [] if case.pop("alone", "false") == "true" else healthy
        case["input_series"] = [
            _on_vm(each, vm) for vm, several in (("a", case["input_series"]), ("b", others)) for each in several
        ]
        for alert in (alert for check in case["alert_rule_test"] for alert in check.get("exp_alerts", [])):
            labels = {"vm": "a"} | alert["exp_labels"]
            alert["exp_labels"] = {name: value for name, value in labels.items() if value}
    return document


def _as_strings(path: Path) -> dict[str, Any]:
    """A file of cases. Nothing in it is a number: 0x20 are 21 samples of 0."""
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - safe: strings only
    return document


def _on_vm(series: dict[str, str], vm: str) -> dict[str, str]:
    if 'vm="' in series["series"]:
        return series
    return series | {"series": series["series"].replace("{", f'{{vm="{vm}", ')}


@_NEEDS_PROMTOOL
@pytest.mark.timeout(600)  # a healthy stack is tested with every rule
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.name.partition(".")[0])
def test_alerts_fire_and_stay_silent(cases: Path, tmp_path: Path) -> None:
    document = beside_a_healthy_vm(cases)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules_for(document)), encoding="utf-8")
    file = tmp_path / cases.name
    file.write_text(yaml.safe_dump(document | {"rule_files": ["rules.yml"]}), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@_NEEDS_PROMTOOL
def test_prometheus_accepts_the_rules() -> None:
    file = ROOT / "prometheus/rules/alerts.yml"
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_firing_case_and_two_silent_ones() -> None:
    tests = {case["name"]: case for path in CASES for case in yaml.safe_load(path.read_text("utf-8"))["tests"]}
    names = {alert.name for alert in all_alerts()}
    checks = [check for case in tests.values() for check in case["alert_rule_test"]]
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == names
    for quiet in ("A healthy stack under load is silent", "An idle stack without a GPU is silent"):
        silent = tests[quiet]["alert_rule_test"]
        assert {check["alertname"] for check in silent if not check.get("exp_alerts")} == names, quiet


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


def test_uids_and_titles_are_unique_and_the_folder_is_not_that_of_dashboards() -> None:
    for key in ("uid", "title"):
        values = [rule[key] for rule in provisioned()]
        assert len(set(values)) == len(values)
    assert rule_files.FOLDER != DASHBOARD_FOLDER


def test_retired_rules_are_deleted_and_no_longer_provisioned() -> None:
    deleted = {rule["uid"] for rule in generated_yaml("grafana/provisioning/alerting/rules.yaml")["deleteRules"]}
    assert deleted == {f"glasshouse-{name.lower()}" for name in rule_files.RETIRED}
    assert {"glasshouse-requestsfail", "glasshouse-frontdoorshut", "glasshouse-clientsleave"} <= deleted
    assert not deleted & {rule["uid"] for rule in provisioned()}


def test_grafana_expands_nothing_in_labels_and_annotations() -> None:
    for rule in provisioned():
        assert "$" not in "".join(rule["labels"].values())
        assert "${" not in str(rule["annotations"])


def test_only_target_down_fires_while_prometheus_is_unreachable() -> None:
    assert [rule["title"] for rule in provisioned() if rule["execErrState"] != "OK"] == ["TargetDown"]


def test_each_alert_links_to_a_panel_that_exists() -> None:
    shown = {(board["uid"], str(panel["id"])) for board in dashboard_files() for panel in panels(board)}
    for rule in provisioned():
        assert (rule["annotations"]["__dashboardUid__"], rule["annotations"]["__panelId__"]) in shown


@pytest.mark.parametrize(
    ("change", "message"), [({"dashboard": "Nowhere"}, "Nowhere"), ({"panel": "No panel"}, "No panel")]
)
def test_a_link_to_a_missing_panel_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule_files.grafana_rules([replace(all_alerts()[0], **change)])  # type: ignore[arg-type]  # the field is a string


def test_each_alert_has_a_severity_and_the_measured_value() -> None:
    without_value = {
        "TargetDown",
        "EndpointDown",
        "ModelUnavailable",
        "SloRecordingRulesMissing",
    }  # yes or no: there is no number
    for alert in all_alerts():
        assert alert.severity in {"page", "ticket"}
        assert (VALUE in alert.summary) == (alert.name not in without_value), alert.name
        assert bool(alert.value_format) == (VALUE in alert.summary), alert.name
    assert {alert.name for alert in all_alerts() if alert.severity == "page"} == {
        *("TargetDown", "EndpointDown", "AvailabilityBudgetBurnFast", "LatencyBudgetBurnFast"),
        *("ModelUnavailable", "ModelTtftHigh", "EngineRestarting", "EngineStalled", "GpuLost", "GpuXidError"),
        "PrivacyCanaryFound",
    }  # fmt: skip


def test_each_alert_names_its_vm_and_says_when_it_is_over() -> None:
    for alert in all_alerts():
        # Prometheus itself; and a sum over all VMs, since gateways of several may share an engine.
        if alert.name not in {"SloRecordingRulesMissing", "TokenReconciliationDrift"}:
            assert "$labels.vm }}" in alert.summary or "with $labels.vm" in alert.summary, alert.name
        assert alert.resolved != alert.summary, alert.name
        assert VALUE not in alert.resolved, alert.name
        assert "$value" not in alert.resolved, alert.name
        assert not alert.resolved.endswith("."), alert.name


def test_thresholds_of_histograms_are_bounds_of_buckets() -> None:
    bounds = {
        name: set(re.findall(rf'^gateway_{name}_seconds_bucket{{[^}}]*le="([^"]+)"', GATEWAY_METRICS, re.MULTILINE))
        for name in ("time_to_first_token", "time_per_output_token", "event_loop_lag")
    }
    for name, thresholds in {
        "time_to_first_token": ("TTFT_SLOW_SECONDS", "TTFT_P95_GOOD_SECONDS", "TTFT_P95_LIMIT_SECONDS"),
        "time_per_output_token": ("TPOT_P95_GOOD_SECONDS", "TPOT_P95_LIMIT_SECONDS"),
        "event_loop_lag": ("LOOP_LAG_LIMIT_SECONDS", "LOOP_LAG_WARN_SECONDS"),
    }.items():
        for threshold in thresholds:
            assert str(getattr(settings, threshold)) in bounds[name], threshold


def test_each_alert_has_a_section_in_the_runbook_that_ends_in_commands() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == [alert.name for alert in all_alerts()]
    links = {rule["title"]: rule["annotations"]["runbook_url"] for rule in provisioned()}
    for alert in all_alerts():
        assert links[alert.name] == f"docs/runbook.md#{alert.name.lower()}"
        (commands,) = re.findall(r"```sh\n(.*?)```\s*\Z", sections[alert.name], re.DOTALL)
        for line in commands.splitlines():
            assert line.startswith(RUNNABLE), f"{alert.name}: {line}"
        in_docker, _, natively = commands.partition("# without Docker\n")
        assert in_docker, alert.name
        assert natively or alert.name in ONLY_IN_DOCKER, alert.name

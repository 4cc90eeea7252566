"""The shipped files in a real Grafana on a healthy stack: it starts, finds its data, and no alert fires."""

import datetime as dt

import pytest
from tests.support.generated_files import generated_yaml
from tests.support.grafana.panels import BY_UID, dashboards
from tests.support.grafana.results import Results
from tests.support.grafana.server import Grafana
from tests.support.program import until

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(600)]

_RULES = "grafana/provisioning/alerting/rules.yaml"


def test_the_datasource_is_healthy(grafana: Grafana) -> None:
    (datasource,) = grafana.get("/api/datasources")
    assert (datasource["uid"], datasource["isDefault"], datasource["readOnly"]) == ("prometheus", True, True)
    (answer,) = grafana.query([{"refId": "A", "expr": "1 + 1", "instant": True, **BY_UID}], 60).values()
    assert answer["frames"][0]["data"]["values"][1] == [2]
    if health := grafana.health("prometheus"):
        assert health["status"] == "OK"


def test_every_dashboard_is_provisioned(grafana: Grafana) -> None:
    found = {hit["uid"]: hit["folderTitle"] for hit in grafana.get("/api/search", type="dash-db")}
    assert found == {dashboard["uid"]: "Glasshouse" for dashboard in dashboards()}


def test_every_rule_is_evaluated_without_error_and_inactive(grafana: Grafana, results: Results) -> None:
    expected = {rule["title"] for group in generated_yaml(_RULES)["groups"] for rule in group["rules"]}
    started = dt.datetime.now(tz=dt.UTC)
    # Grafana spreads evaluations over the interval; every rule must have been evaluated on the complete stack.
    until(
        lambda: all(_evaluated(rule["lastEvaluation"]) > started for rule in grafana.rules()), 200, "all evaluated", 1
    )
    rules = grafana.rules()
    assert {rule["name"] for rule in rules} == expected
    wrong = {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] not in {"ok", "nodata"}}
    assert wrong == {}
    assert {rule["name"]: rule["alerts"] for rule in rules if rule["state"] != "inactive"} == {}
    results.rules.update(rule["state"] for rule in rules)


def _evaluated(timestamp: str) -> dt.datetime:
    """The time of a timestamp as Go writes it, with more digits than Python reads."""
    seconds = dt.datetime.fromisoformat(timestamp[:19])
    return seconds.replace(tzinfo=dt.UTC)

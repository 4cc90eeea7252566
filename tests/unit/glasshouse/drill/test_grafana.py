import base64
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import FakeApi
from tests.unit.glasshouse.drill.conftest import RECEIVERS, RULES, SILENCES, receivers, rules

from glasshouse.drill.grafana import Attempt, Grafana, Matcher
from glasshouse.errors import ApiError, DrillError
from glasshouse.stack.rig import GrafanaAccess


def test_rules_have_their_duration_and_the_labels_of_what_fires(grafana: Grafana, fake_api: FakeApi) -> None:
    labels = {"vm": "drill", "instance": "node-exporter:9100"}
    fake_api.answers[RULES] = (200, rules(TargetDown=labels))
    found = grafana.rules()
    assert (found["TargetDown"].for_s, found["TargetDown"].firing) == (120, (labels,))
    assert found["GpuLost"].firing == ()
    _, headers, _ = fake_api.requests[-1]
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'admin:a password').decode()}"


def test_a_contact_point_that_has_never_notified_has_no_attempt(grafana: Grafana, fake_api: FakeApi) -> None:
    assert grafana.attempts() == ()
    fake_api.answers[RECEIVERS] = (200, receivers("2026-01-02T03:04:05.678Z", "refused"))
    assert grafana.attempts() == (Attempt(1767323045.678, "refused"),)


def test_a_silence_expires_by_itself(grafana: Grafana, fake_api: FakeApi) -> None:
    assert grafana.silence([Matcher("vm", "drill", is_equal=False)], 30, "why") == "an-id"
    path, _, body = fake_api.requests[-1]
    assert path == SILENCES
    assert body["matchers"] == [{"name": "vm", "value": "drill", "isEqual": False, "isRegex": False}]
    assert body["startsAt"] < body["endsAt"]
    grafana.expire("an-id")


def test_a_query_goes_through_grafanas_data_source(grafana: Grafana, fake_api: FakeApi) -> None:
    path = "/grafana/api/datasources/proxy/uid/prometheus/api/v1/query?query=up%7Bvm%3D%22drill%22%7D"
    fake_api.answers[path] = (200, {"data": {"result": [{"metric": {"vm": "drill"}, "value": [1, "1"]}]}})
    assert grafana.series('up{vm="drill"}') == [{"vm": "drill"}]


def test_a_password_that_was_changed_is_named(grafana: Grafana, fake_api: FakeApi) -> None:
    fake_api.answers[RULES] = (401, {"message": "invalid username or password"})
    with pytest.raises(DrillError, match="--password-file"):
        grafana.rules()


def test_what_grafana_says_of_a_failure_is_shown(grafana: Grafana, fake_api: FakeApi) -> None:
    fake_api.answers[RULES] = (500, {"message": "database is locked"})
    with pytest.raises(ApiError, match="database is locked"):
        grafana.rules()
    fake_api.answers[SILENCES] = (400, {"message": "no matchers"})
    with pytest.raises(DrillError, match="no matchers"):
        grafana.silence([], 1, "")


def test_without_a_password_or_a_server_it_says_so(tmp_path: Path) -> None:
    access = GrafanaAccess("http://127.0.0.1:1", None, tmp_path / "missing")
    with pytest.raises(DrillError, match="sudo"):
        Grafana(access)
    access.password_file.write_text("x")
    with pytest.raises(ApiError, match="Nothing answers"):
        Grafana(access).rules()

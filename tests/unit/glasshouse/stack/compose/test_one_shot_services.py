"""What `make up` and `make ps` make of the services that run once."""

import re
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import StackError
from glasshouse.stack.compose.stack import ComposeStack


def test_they_are_done_when_they_have_ended_and_what_they_made_is_told(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = [docker.container(name, "exited") for name in ("certificate-init", "grafana-init")]
    made = ["Created secrets:", "  secrets/tls/cert.pem  (the old one did not name 198.51.100.7)"]
    docker.plan(after_up=[*healthy, *ended], logs={"id-certificate-init": made})
    settings = read()
    start.up(settings, attach=False)
    assert f"{settings.secrets_dir}/tls/cert.pem  (the old one did not name 198.51.100.7)" in capsys.readouterr().out
    ComposeStack(settings).print_status()
    shown = capsys.readouterr().out
    for name in ("init", "certificate-init", "grafana-init"):
        assert re.search(rf"^{name} +done +-$", shown, re.MULTILINE), shown


def test_a_wrong_alert_setting_on_a_running_stack_is_named_and_all_runs_on(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]]
) -> None:
    start.up(read(), attach=False)
    failed = docker.container("grafana-init", "exited", status=2)
    docker.plan(
        after_up=[*healthy, failed],
        logs={failed["Id"]: ["ALERTS_TO='slakc' is not allowed: nobody or slack is."]},
        statuses={"up": 1},
    )
    with pytest.raises(
        StackError, match=r"grafana-init cannot start: it ended with status 2\.[\s\S]*ALERTS_TO='slakc'"
    ):
        start.up(read(ALERTS_TO="slakc"), attach=False)
    assert not [words for words in docker.asked_of_compose if "stop" in words or "down" in words]

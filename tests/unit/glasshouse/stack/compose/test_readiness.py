"""Containers that Docker has restarted: what counts is what happens during this `make up`."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi, Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import StackError
from glasshouse.stack.compose import readiness
from glasshouse.stack.compose.docker import Container
from glasshouse.stack.compose.readiness import RestartCounts
from glasshouse.stack.compose.stack import ComposeStack

_NOT_READY = (503, {"status": "not ready", "reason": "No engine is ready: llamacpp is starting."})


def _described(docker: FakeDocker, read: Read, **container: Any) -> Container:
    docker.plan(containers=[docker.container(**container)])
    return ComposeStack(read()).containers[0]


@pytest.fixture
def waits(docker: FakeDocker, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, Any]]]:
    """What the containers become at each poll of a wait, one state a poll; after the last the stack answers."""
    states: list[list[dict[str, Any]]] = []

    def after_poll(seconds: float) -> None:
        time.sleep(seconds)
        if states:
            docker.plan(containers=states.pop(0))
        else:
            fake_api.answers["/healthz"] = (200, {"status": "ready"})

    monkeypatch.setattr(readiness, "_CHECK_INTERVAL_S", 0.0)
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=after_poll))  # not subprocess's
    return states


@pytest.mark.parametrize("service", ["api", "llamacpp", "nginx"])
def test_a_container_that_restarted_last_week_is_healthy_today(
    docker: FakeDocker,
    read: Read,
    healthy: list[dict[str, Any]],
    fake_api: FakeApi,
    waits: list[list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    service: str,
) -> None:
    restarted = [{**each, "RestartCount": 7 if each["Id"] == f"id-{service}" else 0} for each in healthy]
    docker.plan(containers=restarted, after_up=restarted)
    fake_api.answers["/healthz"] = _NOT_READY  # so that the wait looks at its containers
    waits.extend([restarted] * 3)
    start.up(read(), attach=False)
    assert "Glasshouse is up" in capsys.readouterr().out


def test_one_that_is_killed_once_while_it_is_waited_for_is_waited_for(
    docker: FakeDocker,
    read: Read,
    healthy: list[dict[str, Any]],
    fake_api: FakeApi,
    waits: list[list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [{**each, "RestartCount": 4} for each in healthy]
    others = [each for each in before if each["Id"] != "id-llamacpp"]
    killed = [docker.container("llamacpp", "restarting", restarts=5), *others]
    back = [docker.container("llamacpp", restarts=5), *others]
    docker.plan(containers=before, after_up=before)
    fake_api.answers["/healthz"] = _NOT_READY
    waits.extend([killed, back, back])
    start.up(read(), attach=False)
    assert "Glasshouse is up" in capsys.readouterr().out


def test_one_that_keeps_ending_in_this_start_is_shown(
    docker: FakeDocker,
    read: Read,
    healthy: list[dict[str, Any]],
    fake_api: FakeApi,
    waits: list[list[dict[str, Any]]],
) -> None:
    before = [{**each, "RestartCount": 4} for each in healthy]
    docker.plan(containers=before, after_up=before, logs={"id-api": ["a bad setting"]})
    fake_api.answers["/healthz"] = _NOT_READY
    others = [each for each in before if each["Id"] != "id-api"]
    waits.extend([*others, docker.container("api", restarts=count)] for count in (5, 6))
    message = "api cannot start: it ends by itself, and has been started again 2 times"
    with pytest.raises(StackError, match=message) as caught:
        start.up(read(), attach=False)
    assert "a bad setting" in str(caught.value)


def test_a_container_that_is_created_anew_starts_from_zero(docker: FakeDocker, read: Read) -> None:
    old = _described(docker, read, service="api", restarts=9)
    new = _described(docker, read, service="api", restarts=2)
    restarts = RestartCounts.before([old])
    object.__setattr__(new, "id", "another")
    assert restarts.since(new) == 2
    assert restarts.since(old) == 0


@pytest.mark.parametrize("state", ["exited", "running"])
def test_a_count_that_docker_begins_anew_is_followed(docker: FakeDocker, read: Read, state: str) -> None:
    restarts = RestartCounts.before([_described(docker, read, service="api", state=state, restarts=3)])
    counts = [restarts.since(_described(docker, read, service="api", restarts=count)) for count in (1, 2, 3, 4)]
    assert counts == [1, 2, 3, 4]


def test_a_loop_that_is_under_way_needs_one_turn_less(docker: FakeDocker, read: Read) -> None:
    restarts = RestartCounts.before([_described(docker, read, service="api", state="restarting", restarts=40)])
    assert restarts.since(_described(docker, read, service="api", restarts=41)) == 2


def test_ps_shows_a_container_by_its_state_and_not_by_its_past(docker: FakeDocker, read: Read) -> None:
    assert readiness.status_of(_described(docker, read, service="api", restarts=7)).state == "running"
    assert (
        readiness.status_of(_described(docker, read, service="api", state="restarting", restarts=1)).state == "failing"
    )


def test_grafana_that_restarted_last_week_is_not_called_absent(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    containers = [*healthy[:-1], docker.container("grafana", restarts=4)]
    docker.plan(containers=containers, after_up=containers)
    start.up(read(), attach=False)
    assert "Not running" not in capsys.readouterr().out
    docker.plan(after_up=[*healthy[:-1], docker.container("grafana", "restarting", restarts=4)])
    start.up(read(), attach=False)
    assert "Not running: grafana." in capsys.readouterr().out

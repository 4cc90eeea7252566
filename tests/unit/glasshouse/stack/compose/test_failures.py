from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi, Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import GlasshouseError, ImagesMissing, StackError
from glasshouse.stack import machine
from glasshouse.stack.compose.stack import ComposeStack
from glasshouse.stack.native.stack import NativeStack

_NO_DRIVER = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
_STOP = "--profile * stop"
_START = ["build", "pull --policy missing --ignore-buildable", "up --detach --no-build"]


@pytest.fixture
def started_natively(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the native start: notes why it was chosen."""
    reasons: list[str] = []
    monkeypatch.setattr(NativeStack, "start", lambda _, shape, **__: reasons.append(shape.reason))
    return reasons


@pytest.mark.parametrize(("verb", "what"), [("pull", "fetch"), ("build", "build")])
def test_a_newcomer_without_images_gets_the_native_stack(
    docker: FakeDocker,
    read: Read,
    started_natively: list[str],
    capsys: pytest.CaptureFixture[str],
    verb: str,
    what: str,
) -> None:
    docker.plan(statuses={verb: 1})
    start.up(read(), attach=False)
    assert started_natively == ["Docker has no images for it"]
    message = capsys.readouterr().out
    assert f"Docker could not {what} all images; the lines above say why. So it is started without Docker" in message
    assert "make up SHAPE=cpu" in message


def test_a_person_who_asked_for_docker_is_told_instead(
    docker: FakeDocker, read: Read, started_natively: list[str]
) -> None:
    docker.plan(statuses={"pull": 1})
    message = r"Docker could not fetch all images; .* Without Docker, on the CPU: make up SHAPE=native"
    for variables in ({"SHAPE": "cpu"}, {"COMPOSE_FILE": "compose.yaml:compose.cpu.yaml"}):
        with pytest.raises(ImagesMissing, match=message):
            start.up(read(**variables), attach=False)
    docker.plan(containers=[docker.container("api", "exited")])  # it has run here before
    with pytest.raises(ImagesMissing, match=message):
        start.up(read(), attach=False)
    docker.plan(containers=[], runtimes={"nvidia": {}})
    docker.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA L4'\n")
    with pytest.raises(ImagesMissing, match=message):
        start.up(read(), attach=False)
    assert started_natively == []
    assert _STOP not in docker.asked_of_compose


def test_without_docker_it_is_native(docker: FakeDocker, read: Read, started_natively: list[str]) -> None:
    docker.plan(daemon_says="Cannot connect to the Docker daemon")
    start.up(read(), attach=False)
    assert "daemon does not answer" in started_natively[0]
    with pytest.raises(StackError, match=r"SHAPE=cpu cannot be had: Docker's daemon does not answer"):
        start.up(read(SHAPE="cpu"), attach=False)


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"service": "init", "state": "exited", "status": 2}, "init cannot start: it ended with status 2."),
        ({"service": "api", "restarts": 3}, "api cannot start: it ends by itself, and has been started again 3 times."),
    ],
)
def test_a_container_that_fails_is_shown_with_its_last_words(
    docker: FakeDocker, read: Read, fake_api: FakeApi, container: dict[str, Any], message: str
) -> None:
    bad = docker.container(**container)
    others = [docker.container(name) for name in ("api", "nginx", "llamacpp") if name != container["service"]]
    words = [f"line {number}" for number in range(20)]
    docker.plan(
        after_up=[*others, bad], logs={bad["Id"]: words}, statuses={"up": int(container.get("state") != "running")}
    )
    fake_api.answers = {}
    with pytest.raises(StackError) as caught:
        start.up(read(), attach=False)
    assert str(caught.value).startswith(f"{message}\n  The end of {container['service']}'s log:\n    line 8\n")
    assert str(caught.value).endswith("    line 19")
    assert docker.asked_of_compose == [*_START, _STOP]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("the mount is wrong.", "vllm cannot start: the mount is wrong."),
        (
            _NO_DRIVER,
            f"vllm cannot start: {_NO_DRIVER}; {machine.TOOLKIT}.",
        ),
    ],
)
def test_a_container_that_never_ran_is_shown_with_dockers_words(
    docker: FakeDocker, read: Read, error: str, message: str
) -> None:
    containers = [docker.container("api"), docker.container("vllm", "created", error=error)]
    docker.plan(after_up=containers, statuses={"up": 1})
    with pytest.raises(StackError) as caught:
        start.up(read(), attach=False)
    assert str(caught.value) == message


@pytest.mark.usefixtures("healthy")
def test_an_engine_that_has_failed_ends_the_wait_with_its_reason(
    docker: FakeDocker, read: Read, fake_api: FakeApi
) -> None:
    settings = read()
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    docker.plan(logs={"id-llamacpp": ["out of memory"]})
    fake_api.answers["/healthz"] = (503, {"status": "not ready", "reason": "No engine is ready: llamacpp is failed."})
    engines = {"llamacpp": {"state": "failed", "reason": "the model is larger than the memory"}}
    fake_api.answers["/models/status"] = (200, {"engines": engines})
    with pytest.raises(StackError, match=r"llamacpp cannot start: the model is larger than the memory\n") as caught:
        start.up(settings, attach=False)
    assert "out of memory" in str(caught.value)
    assert docker.asked_of_compose[-1] == _STOP


@pytest.mark.usefixtures("healthy")
def test_the_wait_shows_the_phase_and_is_bounded(
    docker: FakeDocker, read: Read, fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "No engine is ready: llamacpp is starting (loading the weights)."
    fake_api.answers["/healthz"] = (503, {"status": "not ready", "reason": reason})
    with pytest.raises(
        StackError, match=r"Not ready after 1 s \(START_TIMEOUT\); still waiting for the API: No engine"
    ):
        start.up(read(START_TIMEOUT="1"), attach=False)
    assert f"waiting for the API: {reason}" in capsys.readouterr().out
    assert docker.asked_of_compose[-1] == _STOP


@pytest.mark.usefixtures("healthy")
def test_a_stack_that_ran_before_is_left_running_when_it_does_not_answer(
    docker: FakeDocker, read: Read, fake_api: FakeApi
) -> None:
    start.up(read(), attach=False)
    fake_api.answers["/healthz"] = (503, {"reason": "No engine is ready."})
    with pytest.raises(StackError, match="Not ready after 1 s"):
        start.up(read(START_TIMEOUT="1"), attach=False)
    assert _STOP not in docker.asked_of_compose


def test_docker_that_fails_at_the_end_is_said(docker: FakeDocker, read: Read, healthy: list[dict[str, Any]]) -> None:
    docker.plan(containers=healthy, statuses={"down": 1})
    stack = ComposeStack(read())
    with pytest.raises(GlasshouseError, match="could not end everything"):
        stack.down()

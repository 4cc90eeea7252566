import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi, FakeDocker

from glasshouse import composed, composed_watch, machine, native, start
from glasshouse.errors import GlasshouseError, ImagesMissing, PortError, SettingsError, StackError
from glasshouse.settings import Settings
from glasshouse.settings import load as read_settings

_READY = {"/healthz": (200, {"status": "ready"}), "/v1/models": (200, {"data": [{"id": "demo"}]})}
_STOP = "--profile * stop"
_START = ["pull --policy missing --ignore-buildable", "build", "up --detach --no-build"]

Load = Callable[..., Settings]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composed_watch, "_POLL_S", 0.01)
    monkeypatch.setattr(composed_watch, "_LOOK_S", 0.02)


@pytest.fixture
def load(docker: FakeDocker) -> Load:
    """Settings with this docker and with ports that are free."""
    ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
    return lambda **variables: read_settings(docker.root, {"PATH": docker.path, **ports, **variables})


@pytest.fixture
def healthy(docker: FakeDocker, fake_api: FakeApi) -> list[dict[str, Any]]:
    """The containers of a good start; the front door is asked over HTTP, because no certificate is there to trust."""
    fake_api.answers = dict(_READY)
    port = int(fake_api.url.rsplit(":", 1)[1])
    containers = [
        docker.container("init", "exited"),
        docker.container("nginx", ports={80: port, 443: 29443}),
        docker.container("api"),
        docker.container("llamacpp"),
        docker.container("grafana"),
    ]
    docker.plan(after_up=containers, logs={"id-init": ["Made secrets:", "  secrets/api-key  (your first)"]})
    return containers


def up(settings: Settings, *, attach: bool = False) -> None:
    start.up(settings, attach=attach)


@pytest.mark.usefixtures("healthy")
def test_a_start_fetches_builds_starts_and_waits(
    docker: FakeDocker, load: Load, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load()
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    up(settings)
    assert docker.asked_of_compose == _START
    said = capsys.readouterr().out
    assert "shape     Docker without a GPU (no NVIDIA GPU found; Docker 28.2.2, Compose 2.26.1)" in said
    assert f"  {root}/secrets/api-key  (your first)" in said
    assert "Glasshouse is up" in said
    assert "API      https://localhost:29443/v1" in said
    assert "Model    demo" in said
    assert f"https://localhost:29443/grafana/ (user admin, password in {root}/secrets/grafana-password)" in said
    assert "sk-x" not in said


@pytest.mark.usefixtures("healthy")
def test_what_compose_is_given(docker: FakeDocker, load: Load, root: Path) -> None:
    (root / "compose.override.yaml").touch()
    up(load(EMPTY="", LLAMACPP_MODEL=str(root / "models/x.gguf")))
    (call,) = [one for one in docker.calls if "up" in one["words"]]
    place = ["--project-name", "glasshouse", "--project-directory", str(root)]
    files = [str(root / name) for name in ("compose.yaml", "compose.cpu.yaml", "compose.override.yaml")]
    assert call["words"][1:11] == [*place, *(part for file in files for part in ("--file", file))]
    user = str(os.getuid() or 10001)
    assert call["env"] == {
        "SECRETS_DIR": str(root / "secrets"),
        "GLASSHOUSE_UID": user,
        "GLASSHOUSE_GID": str(os.getgid()) if os.getuid() else "10001",
        "LLAMACPP_MODEL": "models/x.gguf",
        "EMPTY": None,
        "COMPOSE_FILE": None,
    }


@pytest.mark.usefixtures("healthy")
def test_what_env_or_compose_file_say_is_kept(docker: FakeDocker, load: Load, root: Path) -> None:
    (root / ".env").write_text("GLASSHOUSE_UID=7\nCOMPOSE_PROJECT_NAME=mine\nSHAPE=cpu\n")
    up(load(COMPOSE_FILE="compose.yaml:compose.cpu.yaml:more.yaml"))
    (call,) = [one for one in docker.calls if "up" in one["words"]]
    assert call["env"]["GLASSHOUSE_UID"] is None  # Compose reads .env itself
    assert call["words"][2] == "mine"
    assert [Path(word).name for word in call["words"] if word.endswith(".yaml")][-1] == "more.yaml"


@pytest.mark.usefixtures("healthy")
def test_a_second_start_says_so_and_changes_nothing(
    docker: FakeDocker, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    up(load())
    before = len(docker.asked_of_compose)
    capsys.readouterr()
    up(load())
    assert len(docker.asked_of_compose) == before
    assert "Glasshouse is running already: Docker without a GPU." in capsys.readouterr().out
    for wish in ("gpu", "native"):
        with pytest.raises(StackError, match=f"not as SHAPE={wish} but as cpu. First: make down"):
            up(load(SHAPE=wish))


@pytest.mark.usefixtures("healthy")
def test_what_runs_is_shown_and_ended(docker: FakeDocker, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load()
    up(settings)
    capsys.readouterr()
    stack = composed.find(settings)
    assert stack is not None
    stack.show()
    shown = capsys.readouterr().out
    assert "SERVICE   STATE    UP FOR" in shown
    assert "init      done     -" in shown
    assert "api       running  " in shown
    assert shown.endswith("https://localhost:29443/v1\n")

    stack.logs("gateway", 7, follow=True)
    assert docker.asked_of_compose[-1] == "--profile * logs --tail 7 --follow api"
    with pytest.raises(StackError, match=r"There is no log of 'x'\. There are: api, grafana, init, llamacpp, nginx\."):
        stack.logs("x", 7, follow=False)

    stack.down()
    assert docker.asked_of_compose[-1] == "--profile * down --remove-orphans"
    assert "Stopped api, grafana, llamacpp, nginx; no container is left." in capsys.readouterr().out
    assert composed.find(settings) is None


@pytest.fixture
def started_natively(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the native start: notes why it was chosen."""
    reasons: list[str] = []
    monkeypatch.setattr(native, "start", lambda _, chosen, **__: reasons.append(chosen.choices[0].reason))
    return reasons


@pytest.mark.parametrize(("verb", "what"), [("pull", "fetch"), ("build", "build")])
def test_a_newcomer_without_images_gets_the_native_stack(
    docker: FakeDocker,
    load: Load,
    started_natively: list[str],
    capsys: pytest.CaptureFixture[str],
    verb: str,
    what: str,
) -> None:
    docker.plan(statuses={verb: 1})
    up(load())
    assert started_natively == ["Docker has no images for it"]
    said = capsys.readouterr().out
    assert f"Docker could not {what} all images; the lines above say why. So it is started without Docker" in said
    assert "make up SHAPE=cpu" in said


def test_a_person_who_asked_for_docker_is_told_instead(
    docker: FakeDocker, load: Load, started_natively: list[str]
) -> None:
    docker.plan(statuses={"pull": 1})
    said = r"Docker could not fetch all images; .* Without Docker, on the CPU: make up SHAPE=native"
    for variables in ({"SHAPE": "cpu"}, {"COMPOSE_FILE": "compose.yaml:compose.cpu.yaml"}):
        with pytest.raises(ImagesMissing, match=said):
            up(load(**variables))
    docker.plan(containers=[docker.container("api", "exited")])  # it has run here before
    with pytest.raises(ImagesMissing, match=said):
        up(load())
    docker.plan(containers=[], runtimes={"nvidia": {}})
    docker.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA L4'\n")
    with pytest.raises(ImagesMissing, match=said):
        up(load())
    assert started_natively == []
    assert _STOP not in docker.asked_of_compose


def test_without_docker_it_is_native(docker: FakeDocker, load: Load, started_natively: list[str]) -> None:
    docker.plan(daemon_says="Cannot connect to the Docker daemon")
    up(load())
    assert "daemon does not answer" in started_natively[0]
    with pytest.raises(StackError, match=r"SHAPE=cpu cannot be had: Docker's daemon does not answer"):
        up(load(SHAPE="cpu"))


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"service": "init", "state": "exited", "status": 2}, "init cannot start: it ended with status 2."),
        ({"service": "api", "restarts": 3}, "api cannot start: it ends by itself, and has been started again 3 times."),
    ],
)
def test_a_container_that_fails_is_shown_with_its_last_words(
    docker: FakeDocker, load: Load, fake_api: FakeApi, container: dict[str, Any], said: str
) -> None:
    bad = docker.container(**container)
    others = [docker.container(name) for name in ("api", "nginx", "llamacpp") if name != container["service"]]
    words = [f"line {number}" for number in range(20)]
    docker.plan(
        after_up=[*others, bad], logs={bad["Id"]: words}, statuses={"up": int(container.get("state") != "running")}
    )
    fake_api.answers = {}
    with pytest.raises(StackError) as caught:
        up(load())
    assert str(caught.value).startswith(f"{said}\n  The end of {container['service']}'s log:\n    line 8\n")
    assert str(caught.value).endswith("    line 19")
    assert docker.asked_of_compose == [*_START, _STOP]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("the mount is wrong.", "vllm cannot start: the mount is wrong."),
        (
            'could not select device driver "nvidia" with capabilities: [[gpu]]',
            'vllm cannot start: could not select device driver "nvidia" with capabilities: [[gpu]]; '
            f"{machine.TOOLKIT}.",
        ),
    ],
)
def test_a_container_that_never_ran_is_shown_with_dockers_words(
    docker: FakeDocker, load: Load, error: str, said: str
) -> None:
    containers = [docker.container("api"), docker.container("vllm", "created", error=error)]
    docker.plan(after_up=containers, statuses={"up": 1})
    with pytest.raises(StackError) as caught:
        up(load())
    assert str(caught.value) == said


@pytest.mark.usefixtures("healthy")
def test_an_engine_that_has_failed_ends_the_wait_with_its_reason(
    docker: FakeDocker, load: Load, fake_api: FakeApi
) -> None:
    settings = load()
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    docker.plan(logs={"id-llamacpp": ["out of memory"]})
    fake_api.answers["/healthz"] = (503, {"status": "not ready", "reason": "No engine is ready: llamacpp is failed."})
    engines = {"llamacpp": {"state": "failed", "reason": "the model is larger than the memory"}}
    fake_api.answers["/models/status"] = (200, {"engines": engines})
    with pytest.raises(StackError, match=r"llamacpp cannot start: the model is larger than the memory\n") as caught:
        up(settings)
    assert "out of memory" in str(caught.value)
    assert docker.asked_of_compose[-1] == _STOP


@pytest.mark.usefixtures("healthy")
def test_the_wait_shows_the_phase_and_is_bounded(
    docker: FakeDocker, load: Load, fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "No engine is ready: llamacpp is starting (loading the weights)."
    fake_api.answers["/healthz"] = (503, {"status": "not ready", "reason": reason})
    with pytest.raises(
        StackError, match=r"Not ready after 1 s \(START_TIMEOUT\); still waiting for the API: No engine"
    ):
        up(load(START_TIMEOUT="1"))
    assert f"waiting for the API: {reason}" in capsys.readouterr().out
    assert docker.asked_of_compose[-1] == _STOP


@pytest.mark.usefixtures("healthy")
def test_a_stack_that_ran_before_is_left_running_when_it_does_not_answer(
    docker: FakeDocker, load: Load, fake_api: FakeApi
) -> None:
    up(load())
    fake_api.answers["/healthz"] = (503, {"reason": "No engine is ready."})
    with pytest.raises(StackError, match="Not ready after 1 s"):
        up(load(START_TIMEOUT="1"))
    assert _STOP not in docker.asked_of_compose


def test_grafana_down_is_said_and_no_reason_to_fail(
    docker: FakeDocker, load: Load, healthy: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    docker.plan(after_up=[*healthy[:-1], docker.container("grafana", "restarting", restarts=4)])
    up(load())
    assert "Not running: grafana. Why: make logs SERVICE=grafana" in capsys.readouterr().out


@pytest.mark.usefixtures("healthy")
def test_attached_it_follows_the_logs_and_then_stops_everything(docker: FakeDocker, load: Load) -> None:
    up(load(), attach=True)
    assert docker.asked_of_compose == [*_START, "logs --follow --tail 20", _STOP]


def test_another_checkouts_stack_is_never_touched(docker: FakeDocker, load: Load, tmp_path: Path) -> None:
    docker.plan(containers=[docker.container("api", directory=tmp_path / "other")])
    settings = load()
    assert composed.find(settings) is None
    with pytest.raises(
        StackError, match=r"has a stack named 'glasshouse' in Docker: .*/other\. .*COMPOSE_PROJECT_NAME="
    ):
        up(settings)
    assert docker.asked_of_compose == []


def test_a_taken_port_is_one_sentence_before_anything_is_fetched(docker: FakeDocker, load: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = str(listener.getsockname()[1])
        with pytest.raises(PortError, match=rf"Port {number} \(nginx\) is taken by .* make up HTTP_PORT=\d+"):
            up(load(HTTP_PORT=number))
    assert docker.asked_of_compose == []


def test_a_model_that_the_container_cannot_see_is_named(load: Load) -> None:
    with pytest.raises(SettingsError, match=r"LLAMACPP_MODEL='/srv/x.gguf' .* sees only models/"):
        up(load(LLAMACPP_MODEL="/srv/x.gguf"))


def test_docker_that_fails_at_the_end_is_said(docker: FakeDocker, load: Load, healthy: list[dict[str, Any]]) -> None:
    docker.plan(containers=healthy, statuses={"down": 1})
    stack = composed.find(load())
    assert stack is not None
    with pytest.raises(GlasshouseError, match="could not end everything"):
        stack.down()

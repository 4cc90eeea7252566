import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import StackError
from glasshouse.stack.compose.stack import ComposeStack

_STOP = "--profile * stop"
_START = ["build", "pull --policy missing --ignore-buildable", "up --detach --no-build"]


@pytest.mark.usefixtures("healthy")
def test_a_start_fetches_builds_starts_and_waits(
    docker: FakeDocker, read: Read, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = read()
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    start.up(settings, attach=False)
    assert docker.asked_of_compose == _START
    text = capsys.readouterr().out
    assert "shape     Docker without a GPU (no NVIDIA GPU found; Docker 28.2.2, Compose 2.26.1)" in text
    assert f"  {root}/secrets/api-key  (your first)" in text
    assert "Glasshouse is up" in text
    assert "API      https://localhost:29443/v1" in text
    assert "Model    demo" in text
    assert f"https://localhost:29443/grafana/ (user admin, password in {root}/secrets/grafana/grafana-password)" in text
    assert "sk-x" not in text
    assert text.endswith("\nShape: Docker without a GPU (no NVIDIA GPU found; Docker 28.2.2, Compose 2.26.1).\n")


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("address", ["203.0.113.7", "[2001:db8::7]"])
def test_who_comes_from_outside_is_told_where_to(read: Read, capsys: pytest.CaptureFixture[str], address: str) -> None:
    start.up(read(PUBLIC_ADDRESS=address), attach=False)
    text = capsys.readouterr().out
    assert "API      https://localhost:29443/v1" in text  # for requests that are pasted here
    assert f"Outside  https://{address}:29443/v1" in text
    assert f"https://{address}:29443/grafana/ (user admin" in text
    assert "export OPENAI_BASE_URL=https://localhost:29443/v1 OPENAI_API_KEY=" in text


@pytest.mark.usefixtures("healthy")
def test_what_compose_is_given(docker: FakeDocker, read: Read, root: Path) -> None:
    (root / "compose.override.yaml").touch()
    start.up(read(EMPTY="", LLAMACPP_MODEL=str(root / "models/x.gguf")), attach=False)
    (call,) = [each for each in docker.calls if "up" in each["words"]]
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
def test_what_env_or_compose_file_say_is_kept(docker: FakeDocker, read: Read, root: Path) -> None:
    (root / ".env").write_text("GLASSHOUSE_UID=7\nCOMPOSE_PROJECT_NAME=mine\nSHAPE=cpu\n")
    start.up(read(COMPOSE_FILE="compose.yaml:compose.cpu.yaml:more.yaml"), attach=False)
    (call,) = [each for each in docker.calls if "up" in each["words"]]
    assert call["env"]["GLASSHOUSE_UID"] is None  # Compose reads .env itself
    assert call["words"][2] == "mine"
    assert [Path(word).name for word in call["words"] if word.endswith(".yaml")][-1] == "more.yaml"


@pytest.mark.usefixtures("healthy")
def test_a_second_start_replaces_what_has_changed(
    docker: FakeDocker, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    start.up(read(), attach=False)
    capsys.readouterr()
    start.up(read(), attach=False)
    assert docker.asked_of_compose == _START * 2
    text = capsys.readouterr().out
    assert "Glasshouse is running already: Docker without a GPU. What has changed since is replaced." in text
    assert "Glasshouse is up" in text
    assert text.endswith("\nShape: Docker without a GPU (as it was running already).\n")
    for other in ("gpu", "native"):
        with pytest.raises(StackError, match=f"not as SHAPE={other} but as cpu. First: make down"):
            start.up(read(SHAPE=other), attach=False)


@pytest.mark.usefixtures("healthy")
def test_what_runs_is_shown_and_ended(docker: FakeDocker, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    settings = read()
    start.up(settings, attach=False)
    capsys.readouterr()
    stack = ComposeStack(settings)
    assert stack.is_running
    stack.print_status()
    shown = capsys.readouterr().out
    assert "SERVICE   STATE    UP FOR" in shown
    assert "init      done     -" in shown
    assert "api       running  " in shown
    assert shown.endswith("https://localhost:29443/v1\n")

    stack.logs("gateway", 7, follow=True)
    assert docker.asked_of_compose[-1] == "--profile * logs --tail 7 --follow api"
    with pytest.raises(StackError, match=r"There is no log of 'x'\. There are: api, grafana, init, llamacpp, nginx\."):
        stack.logs("x", 7, follow=False)

    assert stack.down()
    assert docker.asked_of_compose[-1] == "--profile * down --remove-orphans"
    assert "Stopped api, grafana, llamacpp, nginx; no container is left." in capsys.readouterr().out
    assert not ComposeStack(settings).exists
    assert not ComposeStack(settings).down()


def test_grafana_down_is_said_and_no_reason_to_fail(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    docker.plan(after_up=[*healthy[:-1], docker.container("grafana", "restarting", restarts=4)])
    start.up(read(), attach=False)
    assert "Not running: grafana. Why: make logs SERVICE=grafana" in capsys.readouterr().out


@pytest.mark.usefixtures("healthy")
def test_attached_it_follows_the_logs_and_then_stops_everything(docker: FakeDocker, read: Read) -> None:
    start.up(read(), attach=True)
    assert docker.asked_of_compose == [*_START, "logs --follow --tail 20", _STOP]

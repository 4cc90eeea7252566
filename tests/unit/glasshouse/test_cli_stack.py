import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.glasshouse.command_line import Run, runner
from tests.unit.glasshouse.conftest import FakeApi
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.stack.native import state


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as a person runs it in `root`, with only the variables of the test."""
    return runner(root, monkeypatch, capsys)


def test_nothing_running_is_no_error(run: Run) -> None:
    for command in ("down", "ps"):
        done = run(command)
        assert done.status == 0
        assert "not running" in done.out


def test_a_stale_state_is_put_away(run: Run, root: Path) -> None:
    (root / ".run").mkdir()
    (root / ".run" / "state.json").write_text(
        '{"pid": 1, "started": 1, "boot": "old", "url": "http://x", "certificate": null, "prometheus": null,'
        ' "stop_grace": 5}'
    )
    assert "nothing to end" in run("down").out
    assert not (root / ".run" / "state.json").exists()


def test_bad_settings_are_misuse(run: Run) -> None:
    done = run("up", SHAPE="kubernetes")
    assert (done.status, done.err) == (2, "SHAPE='kubernetes' is not allowed: use auto, gpu, cpu or native.\n")


def test_a_stack_in_docker_is_what_the_other_commands_act_on(
    run: Run, docker: FakeDocker, fake_api: FakeApi, root: Path
) -> None:
    port = int(fake_api.url.rsplit(":", 1)[1])
    docker.plan(containers=[docker.container("nginx", ports={80: port, 443: 29443}), docker.container("api")])
    assert "nginx    running" in run("ps", PATH=docker.path).out
    assert run("logs", "gateway", PATH=docker.path).status == 0
    assert docker.asked_of_compose[-1] == "--profile * logs --tail 20 api"
    (root / "secrets").mkdir()
    (root / "secrets" / "api-key").write_text("sk-x\n")
    assert "The API answered 404" in run("smoke", PATH=docker.path).err  # it is this one that was asked
    assert "Stopped api, nginx; no container is left." in run("down", PATH=docker.path).out
    assert "nothing to end" in run("down", PATH=docker.path).out


def test_who_may_not_ask_docker_is_told_so(run: Run, docker: FakeDocker) -> None:
    docker.plan(daemon_says="permission denied while trying to connect to the Docker daemon socket")
    for command in ("ps", "down"):
        done = run(command, PATH=docker.path)
        assert "not running" in done.out
        assert done.err == "In Docker it may: you may not ask it. Put sudo before the command.\n"
        assert run(command, PATH=docker.path, SHAPE="native").err == ""


def test_files_of_another_user_are_said_to_be(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    real = Path.read_text

    def forbidden(path: Path, *arguments: str, **names: str) -> str:
        if path.name == "keys.yaml":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **names)

    monkeypatch.setattr(Path, "read_text", forbidden)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    owner = (root / "secrets" / "gateway" / "keys.yaml").stat().st_uid
    assert f"It belongs to user {owner}: put sudo before the command." in run("key", "list").err


def test_the_engine_key_is_rotated_only_if_every_engine_would_know_the_next(
    run: Run, docker: FakeDocker, root: Path
) -> None:
    assert (
        "There is no next engine key to put into force (secrets/engine/engine-key.next)" in run("rotate-engine-key").err
    )
    run("init")
    key, following = root / "secrets" / "engine" / "engine-key", root / "secrets" / "engine" / "engine-key.next"
    accepted = following.read_text()
    docker.plan(containers=[docker.container("llamacpp"), docker.container("api"), docker.container("vllm", "exited")])
    done = run("rotate-engine-key", PATH=docker.path)
    assert done.status == 1
    assert "llamacpp started before the next engine key was created" in done.err
    assert "docker compose restart llamacpp" in done.err
    assert key.read_text() != accepted
    os.utime(following, (0, 0))  # as if it had been made before the engine started
    done = run("rotate-engine-key", PATH=docker.path)
    assert (done.status, done.err) == (0, "")
    assert key.read_text() == accepted
    assert accepted.strip() not in done.out
    assert run("rotate-engine-key", PATH=docker.path).status == 1  # the one that was made just now


def test_processes_without_their_supervisor_are_shown(run: Run, root: Path) -> None:
    program = "import time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", program, "left-over"],
        cwd=root,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    ) as left:
        try:
            assert left.stdout is not None
            assert left.stdout.readline() == "up\n"
            (root / ".run").mkdir()
            # A supervisor that began at another time: its number is the session's still.
            current = {"pid": left.pid, "started": 1, "boot": state.boot_id(), "url": "http://x", "stop_grace": 5}
            (root / ".run" / "state.json").write_text(json.dumps(current | {"certificate": None, "prometheus": None}))
            shown = run("ps")
            assert f"{left.pid}  {sys.executable}"[:20] in shown.out
            assert "supervisord has been killed" in shown.out
            assert "Stopped what was left of it" in run("down").out
        finally:
            left.kill()
    assert run("ps").out == "Glasshouse is not running. Start it: make up\n"

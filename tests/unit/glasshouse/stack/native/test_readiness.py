import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.unit.glasshouse.conftest import FakeApi, free_port

from glasshouse.errors import StackError
from glasshouse.settings import Settings, load
from glasshouse.stack.native import readiness, supervisor
from glasshouse.stack.native.supervisor import Program

Programs = Callable[..., None]


@pytest.fixture
def started(root: Path, fake_api: FakeApi) -> Settings:
    """A stack whose gateway and launcher are the fake API."""
    port = str(urlsplit(fake_api.url).port)
    settings = load(root, {"GATEWAY_PORT": port, "LLAMACPP_STATUS_PORT": port, "START_TIMEOUT": "30"})
    settings.logs.mkdir(parents=True)
    return settings


@pytest.fixture
def supervisord() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield child
        child.kill()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """What supervisord answers, one answer a poll; the last stays."""

    def answer(*states: Program) -> None:
        left = list(states)
        monkeypatch.setattr(supervisor, "programs", lambda _: (left.pop(0) if len(left) > 1 else left[0],))

    return answer


def _program(state: str, pid: int = 7, problem: str = "") -> Program:
    return Program("nginx", state, pid, 1, 3, problem)


def _wait(settings: Settings, fake_api: FakeApi, supervisord: "subprocess.Popen[bytes]") -> float:
    return readiness.wait(settings, fake_api.url, supervisord, {"nginx": len("of an earlier start\n")})


def test_it_is_ready_when_the_gateway_is(
    started: Settings, fake_api: FakeApi, supervisord: "subprocess.Popen[bytes]", programs: Programs
) -> None:
    programs(_program("RUNNING"))
    fake_api.answers["/healthz"] = (200, {"status": "ready"})
    assert _wait(started, fake_api, supervisord) < 30


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ((_program("FATAL"),), "nginx cannot start: it ended with status 3."),
        ((_program("BACKOFF", 0, "Exited too quickly"),), "nginx cannot start: it ended right after its start."),
        ((_program("RUNNING", 7), _program("RUNNING", 8)), "nginx cannot start: it ended with status 3."),
    ],
)
def test_a_program_that_ends_is_named_with_its_log_and_how_to_do_without(
    started: Settings,
    fake_api: FakeApi,
    supervisord: "subprocess.Popen[bytes]",
    programs: Programs,
    states: tuple[Program, ...],
    message: str,
) -> None:
    programs(*states)
    (started.logs / "nginx.log").write_text("of an earlier start\nof this start\n")
    with pytest.raises(StackError) as caught:
        _wait(started, fake_api, supervisord)
    assert str(caught.value) == (
        f"{message}\n  The end of nginx's log:\n    of this start\n  Without it: make up NGINX=off"
    )


def test_an_engine_that_cannot_start_ends_the_wait(
    started: Settings, fake_api: FakeApi, supervisord: "subprocess.Popen[bytes]", programs: Programs
) -> None:
    programs(_program("RUNNING"))
    fake_api.answers["/status"] = (200, {"state": "failed", "reason": "the model is no GGUF"})
    with pytest.raises(StackError, match="llamacpp cannot start: the model is no GGUF"):
        _wait(started, fake_api, supervisord)


def test_a_supervisord_that_ends_is_named(started: Settings, fake_api: FakeApi) -> None:
    (started.logs / "supervisord-start.log").write_text("Error: a bad setting\n")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"]) as child:
        child.wait()
        with pytest.raises(StackError, match=r"supervisord ended with status 2\.[\s\S]*a bad setting"):
            _wait(started, fake_api, child)


def test_the_wait_is_bounded(
    root: Path, fake_api: FakeApi, supervisord: "subprocess.Popen[bytes]", programs: Programs
) -> None:
    programs(_program("RUNNING"))
    ports = {"GATEWAY_PORT": str(free_port()), "LLAMACPP_STATUS_PORT": str(free_port())}
    settings = load(root, {**ports, "START_TIMEOUT": "1"})
    with pytest.raises(StackError, match=r"Not ready after 1 s \(START_TIMEOUT\); still waiting for gateway to listen"):
        _wait(settings, fake_api, supervisord)

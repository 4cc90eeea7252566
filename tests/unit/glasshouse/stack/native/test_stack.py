import os
from dataclasses import replace

import pytest

from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack import processes
from glasshouse.stack.native import state, supervisor
from glasshouse.stack.native.stack import NativeStack
from glasshouse.stack.native.supervisor import Program


def _record(settings: Settings) -> state.State:
    """This process stands in for supervisord."""
    settings.run_dir.mkdir()
    started = processes.start_ticks(os.getpid())
    current = state.State(os.getpid(), started, state.boot_id(), "https://127.0.0.1:1", "/c.pem", "http://there", 5)
    state.write(settings.run_dir, current)
    return current


def test_a_stack_that_does_not_run_has_nothing_but_logs(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    stack = NativeStack(settings)
    assert not stack.exists
    assert not stack.is_running
    assert not stack.is_supervised
    assert stack.engine_start_times == {}
    assert stack.data_users == []
    assert not stack.down()
    with pytest.raises(StackError, match="not running"):
        _ = stack.endpoint
    settings.logs.mkdir(parents=True)
    (settings.logs / "gateway.log").write_text("the last line\n")
    stack.logs("gateway", 5, follow=False)
    assert capsys.readouterr().out == "gateway    | the last line\n"


def test_its_endpoint_is_what_the_start_recorded(settings: Settings) -> None:
    _record(settings)
    endpoint = NativeStack(settings).endpoint
    assert endpoint.url == endpoint.public_url == "https://127.0.0.1:1"
    assert str(endpoint.certificate) == "/c.pem"
    assert not endpoint.is_trusted
    assert endpoint.dashboards == (("Metrics", "http://there"),)


def test_programs_are_shown_with_their_states(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _record(settings)
    programs = (Program("llamacpp", "RUNNING", 7, 65, 0, ""), Program("nginx", "BACKOFF", 0, 0, 1, ""))
    monkeypatch.setattr(supervisor, "programs", lambda _: programs)
    stack = NativeStack(settings)
    stack.print_status()
    message = capsys.readouterr().out
    assert "llamacpp  running  7    1 min 5 s" in message
    assert "nginx     failing  -    -" in message
    assert list(stack.engine_start_times) == ["llamacpp"]
    assert stack.is_supervised
    assert stack.data_users == [settings.root]


def test_a_supervisor_of_another_time_is_not_ours(settings: Settings) -> None:
    state.write(settings.run_dir, replace(_record(settings), started=1))
    assert not NativeStack(settings).is_supervised

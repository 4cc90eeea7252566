"""`up` while another command holds the lock; what a start does otherwise is tested with each stack."""

import json
import os
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi, Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import StackError
from glasshouse.files import locked
from glasshouse.settings import Settings
from glasshouse.stack import processes
from glasshouse.stack.native import state

_ELSEWHERE = "Another `make up` is starting this stack"


def _up_while_locked(settings: Settings) -> None:
    settings.run_dir.mkdir(exist_ok=True)
    with locked(settings.run_dir / "up.lock"):
        start.up(settings, attach=False)


def test_two_starts_at_once_are_refused_whether_docker_runs_something_or_not(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]]
) -> None:
    with pytest.raises(StackError, match=_ELSEWHERE):
        _up_while_locked(read())
    docker.plan(containers=healthy)
    with pytest.raises(StackError, match=_ELSEWHERE):
        _up_while_locked(read())
    assert docker.asked_of_compose == []


def test_a_native_stack_that_answers_is_shown_though_the_lock_is_held(
    settings: Settings, fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    settings.run_dir.mkdir()
    # This process stands in for supervisord.
    record = {"pid": os.getpid(), "started": processes.start_ticks(os.getpid()), "boot": state.boot_id()}
    more = {"url": fake_api.url, "certificate": None, "prometheus": None, "stop_grace": 5}
    (settings.run_dir / "state.json").write_text(json.dumps(record | more))
    with pytest.raises(StackError, match=_ELSEWHERE):
        _up_while_locked(settings)
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "demo"}]})
    _up_while_locked(settings)
    message = capsys.readouterr().out
    assert "Glasshouse is running already" in message
    assert "Model  demo" in message

import json
import os

import pytest
from tests.unit.glasshouse.conftest import Read, Repository
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack import detect, processes
from glasshouse.stack.native import state


def _record_a_start(settings: Settings) -> None:
    """This process stands in for a supervisord."""
    settings.run_dir.mkdir(exist_ok=True)
    started = processes.start_ticks(os.getpid())
    current = state.State(os.getpid(), started, state.boot_id(), "http://127.0.0.1:1", None, None, 5)
    state.write(settings.run_dir, current)


def test_where_nothing_was_started_there_is_no_stack(read: Read) -> None:
    settings = read()
    assert detect.running(settings) is None
    assert detect.supervised(settings) is None
    assert detect.existing(settings) is None


def test_containers_that_have_ended_exist_and_do_not_run(docker: FakeDocker, read: Read) -> None:
    docker.plan(containers=[docker.container("api", "exited"), docker.container("vllm", "exited")])
    found = detect.existing(read())
    assert found is not None
    assert found.kind == "gpu"
    assert detect.running(read()) is None
    docker.plan(containers=[docker.container("api")])
    found = detect.supervised(read())
    assert found is not None
    assert found.kind == "cpu"


def test_a_native_stack_is_found_before_docker_is_asked(docker: FakeDocker, read: Read) -> None:
    settings = read()
    _record_a_start(settings)
    for find in (detect.running, detect.supervised, detect.existing):
        found = find(settings)
        assert found is not None
        assert found.kind == "native"
    assert detect.with_data(settings).kind == "native"
    assert docker.calls == []


def test_a_backup_is_of_the_stack_that_runs_else_of_the_one_that_left_data(repository: Repository) -> None:
    settings = repository.settings
    assert detect.with_data(settings).kind == "cpu"
    place_state = repository.state
    place_state["containers"] = {}
    (repository.programs / "state.json").write_text(json.dumps(place_state))
    assert detect.with_data(settings).kind == "cpu"  # as SHAPE says


def test_the_machine_is_not_asked_about_docker_where_it_is_not_wanted(docker: FakeDocker, read: Read) -> None:
    assert detect.inspect(read(SHAPE="native")).docker == ""
    assert docker.calls == []
    assert detect.inspect(read()).docker == "Docker 28.2.2, Compose 2.26.1"


def test_a_stack_that_does_not_run_has_no_endpoint(settings: Settings) -> None:
    with pytest.raises(StackError, match="not running"):
        _ = detect.of_kind(settings, "native").endpoint

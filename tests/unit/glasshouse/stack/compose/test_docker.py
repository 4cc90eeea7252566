import os
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.errors import StackError
from glasshouse.settings import Settings, load
from glasshouse.stack.compose.docker import Docker, environment


def test_a_container_is_read_as_docker_describes_it(docker: FakeDocker, read: Read, root: Path) -> None:
    docker.plan(containers=[docker.container("nginx", "restarting", ports={443: 8443}, restarts=2, status=1)])
    (found,) = Docker(read()).containers()
    assert (found.id, found.service, found.restarts, found.exit_status) == ("id-nginx", "nginx", 2, 1)
    assert found.is_running
    assert found.published == {443: 8443}
    assert found.working_dir == root
    assert found.config_files == (root / "compose.yaml", root / "compose.cpu.yaml")


def test_composes_files_depend_on_the_shape_and_the_override(read: Read, root: Path) -> None:
    docker = Docker(read())
    assert docker.files("gpu") == (root / "compose.yaml",)
    (root / "compose.override.yaml").touch()
    assert [file.name for file in docker.files("cpu")] == ["compose.yaml", "compose.cpu.yaml", "compose.override.yaml"]
    assert [file.name for file in Docker(read(COMPOSE_FILE="mine.yaml")).files("cpu")] == ["mine.yaml"]


def test_an_error_of_docker_is_raised_and_one_of_a_query_is_not(docker: FakeDocker, read: Read) -> None:
    docker.program("docker", "#!/bin/sh\necho 'volume is in use.' >&2\nexit 1\n")
    with pytest.raises(StackError, match=r"^docker volume: volume is in use\.$"):
        Docker(read()).run("volume", "rm", "x")
    assert Docker(read()).query("ps") == ""
    assert Docker(read()).containers() == ()


def test_where_there_is_no_docker_nothing_runs(root: Path) -> None:
    docker = Docker(load(root, {"PATH": "/nowhere"}))
    assert docker.containers() == ()
    with pytest.raises(StackError, match=r"docker volume: .*No such file"):
        docker.run("volume", "ls")
    with pytest.raises(StackError, match="docker cannot be run"):
        docker.compose((), "ps")


def test_root_starts_the_services_as_the_images_user(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert environment(settings)["GLASSHOUSE_UID"] == "10001"
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert environment(settings)["GLASSHOUSE_UID"] == "1234"

import io
from pathlib import Path

import pytest

from glasshouse.errors import BackupError, StackError
from glasshouse.stack.compose.volume import OneShotRunner, VolumeComponent


def _component(programs: Path, script: str) -> VolumeComponent:
    """A volume behind a docker that runs a script of the shell."""
    programs.mkdir(exist_ok=True)
    program = programs / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    runner = OneShotRunner({"PATH": f"{programs}:/usr/bin:/bin"}, "glasshouse/init:1")
    return VolumeComponent("volumes/data", "glasshouse_data", runner, "10001:10001")


def test_what_the_container_writes_is_the_copy(tmp_path: Path) -> None:
    output = io.BytesIO()
    component = _component(tmp_path / "bin", f'echo "$@" > {tmp_path}/asked; printf packed')
    assert component.pack(output, accept_changed=False)
    assert output.getvalue() == b"packed"
    asked = (tmp_path / "asked").read_text()
    assert "--volume glasshouse_data:/component:ro --entrypoint tar glasshouse/init:1" in asked
    assert "--network none" in asked
    assert "--log-driver none" in asked


@pytest.mark.parametrize("accept", [True, False])
def test_a_file_that_changed_is_accepted_only_where_it_may(tmp_path: Path, accept: bool) -> None:
    assert _component(tmp_path / "bin", "exit 1").pack(io.BytesIO(), accept_changed=accept) is accept


def test_the_containers_last_line_is_the_reason(tmp_path: Path) -> None:
    component = _component(tmp_path / "bin", "echo first >&2; echo 'no such volume.' >&2; exit 2")
    with pytest.raises(BackupError, match=r"volumes/data cannot be read: no such volume\."):
        component.pack(io.BytesIO(), accept_changed=True)
    with pytest.raises(BackupError, match=r"volumes/data cannot be restored: no such volume\."):
        component.unpack(io.BytesIO(b"x" * 1_000_000), ())


def test_what_is_unpacked_reaches_the_container(tmp_path: Path) -> None:
    _component(tmp_path / "bin", f'echo "$@" > {tmp_path}/asked; cat > {tmp_path}/got').unpack(
        io.BytesIO(b"tar"), ("l",)
    )
    assert (tmp_path / "got").read_bytes() == b"tar"
    assert (
        (tmp_path / "asked")
        .read_text()
        .endswith("unpack /component 10001:10001  --anchored --no-wildcards --exclude=./l\n")
    )


def test_a_docker_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="docker cannot be run"):
        OneShotRunner({"PATH": str(tmp_path)}, "x").run([], "tar")

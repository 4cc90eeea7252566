"""`make doctor` and what `make up` says of it."""

from collections.abc import Callable
from typing import Any

import pytest
import typer
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse import start
from glasshouse.doctor import command
from glasshouse.doctor import native as native_checks
from glasshouse.errors import StackError
from glasshouse.stack.native import stack as native

_GB = 10**9
_SHARED = native_checks._SHARED_MEMORY


def _subjects(text: str) -> dict[str, str]:
    """The level of each subject, of the rows that have both."""
    rows = [line.split() for line in text.replace("not checked", "not-checked").splitlines() if line[2:3].strip()]
    return {row[1]: row[0] for row in rows if not row[0].isdigit()}


def test_a_good_machine(stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    stub.file("proc/meminfo", "MemTotal: 16000000 kB\n")
    stub.file("run/systemd/timesync/synchronized", "")
    command.report(read())
    text = capsys.readouterr().out
    assert (
        "  ok           shape       Docker without a GPU (no NVIDIA GPU found; Docker 28.2.2, Compose 2.26.1)\n" in text
    )
    assert "  ok           memory      15.3 GiB\n" in text
    assert "FAILURE" not in text
    # What these stubs do not tell is not called good.
    levels = _subjects(text)
    assert {subject for subject, level in levels.items() if level == "not-checked"} >= {"open", "boot", "disk", "MTU"}
    assert levels["clock"] == "ok"
    assert text.splitlines()[-1].endswith("not checked.")


def test_a_failure_is_the_status(stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    stub.docker.plan(compose="2.20.0")
    with pytest.raises(typer.Exit) as ended:
        command.report(read(SHAPE="cpu"))
    assert ended.value.exit_code == 1
    text = capsys.readouterr().out
    assert "FAILURE" in text
    assert "SHAPE=cpu cannot be had: Docker Compose 2.20.0 is older than 2.24" in text
    assert text.splitlines()[-1].startswith("2 failures")


def test_a_gpu_that_cannot_be_used_is_examined_as_one(
    stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4, 550.90.07")
    with pytest.raises(typer.Exit):
        command.report(read())
    text = capsys.readouterr().out
    assert "This machine has an NVIDIA GPU, which would not be used" in text
    assert "install NVIDIA's container toolkit" in text
    assert "VLLM_IMAGE=vllm/vllm-openai:v0.32.0-cu129" in text


def test_each_shape_is_asked_what_matters_to_it(stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4")
    stub.docker.plan(runtimes={"nvidia": {}})
    docker, gpu, without = (
        {"Docker", "boot", "MTU", "ufw", "mounts"},
        {"GPU", "driver"},
        {"nginx", "OpenMP", _SHARED},
    )
    for shape, asked, others in (
        ("gpu", docker | gpu, without),
        ("cpu", docker, gpu | without),
        ("native", without, docker | gpu),
    ):
        try:
            command.report(read(SHAPE=shape))
        except typer.Exit:
            assert shape == "native"  # this machine may lack libgomp1, or have taken its ports
        levels = _subjects(capsys.readouterr().out)
        assert asked <= levels.keys()
        assert not others & levels.keys()


def test_a_running_stack_has_its_ports_itself(
    docker: FakeDocker, read: Read, healthy: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    docker.plan(containers=healthy)
    command.report(read())
    text = capsys.readouterr().out
    assert "Docker without a GPU, which runs" in text
    assert "ports       the running stack has them" in text


def test_long_sentences_are_folded_and_remedies_stay_whole(
    stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.file("proc/net/if_inet6", "20010db8000000000000000000000002 04 40 00 82 ens4\n")
    command.report(read())
    lines = capsys.readouterr().out.splitlines()
    first = next(number for number, line in enumerate(lines) if "IPv6" in line)
    assert lines[first + 1].startswith(" " * 27)
    assert lines[first + 2].strip().startswith("→ publish no AAAA record for this machine, or put a load balancer")


@pytest.mark.usefixtures("healthy")
def test_a_start_shows_warnings_and_goes_on(stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    stub.file("etc/ufw/ufw.conf", "ENABLED=yes\n")
    start.up(read(), attach=False)
    text = capsys.readouterr().out
    assert "Before it starts (make doctor shows every check):" in text
    assert "WARNING  ufw" in text
    assert "not checked" not in text
    assert "Glasshouse is up" in text


@pytest.mark.usefixtures("healthy")
def test_a_start_on_a_good_machine_says_nothing_of_it(
    stub: Stub, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.file("proc/meminfo", "MemTotal: 16000000 kB\n")
    start.up(read(), attach=False)
    assert "make doctor" not in capsys.readouterr().out


def test_a_start_that_must_fail_does_not_begin(stub: Stub, read: Read, free: Callable[[float], None]) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4, 580.65.06")
    stub.docker.plan(runtimes={"nvidia": {}})
    free(9 * _GB)
    with pytest.raises(StackError) as caught:
        start.up(read(), attach=False)
    assert str(caught.value) == (
        "disk: 9 GB are free in /var/lib/docker, but vLLM's image alone takes about 29 GB. "
        "docker image prune removes unused images; or enlarge the disk"
    )
    assert stub.docker.asked_of_compose == []


def test_the_native_fallback_is_examined_as_such(
    stub: Stub, read: Read, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(native.NativeStack, "start", lambda *_, **__: None)
    stub.docker.plan(statuses={"pull": 1})
    start.up(read(), attach=False)
    assert _SHARED in capsys.readouterr().out  # which these stubs lack

from collections.abc import Callable

import pytest
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import daemon

_GB = 10**9
_BUILDX = "apt-get install -y docker-buildx (Ubuntu's Docker) or docker-buildx-plugin (Docker's own)"


def test_what_docker_itself_lacks_is_a_failure(stub: Stub) -> None:
    stub.docker.plan(daemon_says="permission denied while trying to connect")
    level, text, _ = stub.finds(daemon.versions)
    assert (level, text) == ("failure", "you may not use Docker: sudo usermod -aG docker $USER, then log in again")
    assert list(daemon.disk(stub.target())) == []


@pytest.mark.parametrize(
    ("compose", "buildx", "found"),
    [
        ("2.26.1", "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", ("ok", "0.13.1", "")),
        ("2.40.3", "github.com/docker/buildx v0.29.1 a32761a", ("ok", "0.29.1", "")),
        ("2.26.1", "", ("warning", "it is missing; Compose from 2.40.2 on needs it to build images", _BUILDX)),
        ("2.40.2", "", ("failure", "buildx is missing, but this Compose needs it to build images", _BUILDX)),
        (
            "v5.0.0",
            "github.com/docker/buildx v0.16.2 34c195a",
            ("failure", "buildx 0.16.2 is older than 0.17, but this Compose needs it to build images", _BUILDX),
        ),
    ],
)
def test_buildx(stub: Stub, compose: str, buildx: str, found: tuple[str, str, str]) -> None:
    stub.docker.plan(compose=compose, buildx=buildx)
    docker, second = daemon.versions(stub.target())
    assert (docker.level, docker.text) == ("ok", f"Docker 28.2.2, Compose {compose.removeprefix('v')}")
    assert (second.level, second.text, second.remedy) == found


@pytest.mark.parametrize(
    ("message", "status", "found"),
    [
        ("enabled", 0, ("ok", "Docker starts at boot, and so does the stack", "")),
        (
            "disabled",
            1,
            (
                "warning",
                "Docker does not start at boot: after a reboot nothing runs",
                "sudo systemctl enable docker",
            ),
        ),
        (
            "Failed to get unit file state for docker.service",
            1,
            ("not checked", "systemctl does not report whether Docker starts at boot", ""),
        ),
    ],
)
def test_boot(stub: Stub, message: str, status: int, found: tuple[str, str, str]) -> None:
    stub.docker.program("systemctl", f"#!/bin/sh\necho '{message}'\nexit {status}\n")
    assert stub.finds(daemon.boot) == found


def test_a_machine_without_systemd(stub: Stub) -> None:
    assert stub.finds(daemon.boot)[0] == "not checked"


_PRUNE = "docker image prune removes unused images; or enlarge the disk"


def test_disk_for_the_gpu(stub: Stub, free: Callable[[float], None]) -> None:
    free(60 * _GB)
    assert stub.finds(daemon.disk, "gpu") == ("ok", "60 GB are free in /var/lib/docker", "")
    free(40 * _GB)
    assert stub.finds(daemon.disk, "gpu") == (
        "warning",
        "40 GB are free in /var/lib/docker, but the images and the model take up to 55 GB more",
        _PRUNE,
    )
    free(20 * _GB)
    assert stub.finds(daemon.disk, "gpu") == (
        "failure",
        "20 GB are free in /var/lib/docker, but vLLM's image alone takes about 29 GB",
        _PRUNE,
    )
    stub.docker.plan(
        images={"glasshouse/vllm:0.1.0": "sha256:1"}
    )  # once it is there, the model is what is left to come
    assert stub.finds(daemon.disk, "gpu")[0] == "ok"
    assert stub.finds(daemon.disk, "gpu", GLASSHOUSE_VERSION="0.2.0")[0] == "failure"
    free(8 * _GB)
    assert stub.finds(daemon.disk, "gpu")[0] == "warning"


def test_disk_without_a_gpu(stub: Stub, free: Callable[[float], None]) -> None:
    free(3 * _GB)
    assert stub.finds(daemon.disk) == (
        "warning",
        "3 GB are free in /var/lib/docker, but the images and the model take up to 5 GB more",
        _PRUNE,
    )
    stub.docker.plan(images={"glasshouse/llamacpp:0.1.0": "sha256:1"})
    assert stub.finds(daemon.disk)[0] == "ok"


def test_a_disk_that_is_not_this_machines(stub: Stub) -> None:
    assert stub.finds(daemon.disk) == ("not checked", "the disk of Docker's images is not visible from here", "")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": null}', '{"a": {"b": {}}}'])
def test_a_configuration_of_another_form_says_nothing(stub: Stub, text: str) -> None:
    stub.file("etc/docker/daemon.json", text)
    assert daemon.setting(stub.target().system, "a", "b", "c") is None

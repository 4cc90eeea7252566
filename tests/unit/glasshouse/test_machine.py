from typing import Any

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import machine
from glasshouse.machine import Machine

_HINT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"


def look(docker: FakeDocker) -> Machine:
    return machine.look({"PATH": docker.path})


@pytest.fixture
def gpu(docker: FakeDocker) -> None:
    docker.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA L4'\n")


def test_docker_and_compose_are_told_with_their_versions(docker: FakeDocker) -> None:
    there = look(docker)
    assert (there.docker, there.docker_trouble) == ("Docker 28.2.2, Compose 2.26.1", "")
    assert there.gpu_trouble == "no NVIDIA GPU found"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            {"daemon_says": "permission denied while trying to connect to the Docker daemon socket"},
            "you may not use Docker: sudo usermod -aG docker $USER, then log in again",
        ),
        (
            {"daemon_says": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."},
            "Docker's daemon does not answer: sudo systemctl start docker",
        ),
        ({"compose": ""}, "Docker has no Compose plugin: https://docs.docker.com/compose/install/"),
        ({"compose": "v2.23.3"}, "Docker Compose v2.23.3 is older than 2.24: https://docs.docker.com/compose/install/"),
        ({"compose": "1.29.2"}, "Docker Compose 1.29.2 is older than 2.24: https://docs.docker.com/compose/install/"),
    ],
)
def test_what_is_wrong_with_docker_is_said_with_what_mends_it(
    docker: FakeDocker, plan: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    docker.plan(**plan)
    assert look(docker).docker_trouble == said
    assert machine.is_docker_forbidden({"PATH": docker.path}) is said.startswith("you may not")


@pytest.mark.parametrize("version", ["2.24.0", "v2.40.3", "5.0.1", "2.26.1-4"])
def test_new_enough_is_new_enough(docker: FakeDocker, version: str) -> None:
    docker.plan(compose=version)
    assert look(docker).docker_trouble == ""


def test_no_docker_at_all() -> None:
    there = machine.look({"PATH": "/nowhere"})
    assert there == Machine("", "", "Docker is not installed", "no NVIDIA GPU found")
    assert not machine.is_docker_forbidden({"PATH": "/nowhere"})


@pytest.mark.usefixtures("gpu")
def test_a_gpu_needs_nvidias_runtime_or_its_hook(docker: FakeDocker) -> None:
    assert look(docker).gpu_trouble == (
        f"NVIDIA L4 is there, but Docker cannot use it: install NVIDIA's container toolkit, {_HINT}"
    )
    docker.program("nvidia-ctk", "#!/bin/sh\n")
    assert look(docker).gpu_trouble.endswith(
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    )
    docker.plan(runtimes={"runc": {}, "nvidia": {}})
    assert (look(docker).gpu, look(docker).gpu_trouble) == ("NVIDIA L4", "")
    docker.plan(runtimes={"runc": {}})
    docker.program("nvidia-container-runtime-hook", "#!/bin/sh\n")
    assert look(docker).gpu_trouble == ""


@pytest.mark.parametrize(
    ("script", "gpu", "trouble"),
    [
        ("echo 'NVIDIA L4'; echo 'NVIDIA L4'", "2 x NVIDIA L4", None),
        ("echo 'No devices were found'", "", "nvidia-smi shows no GPU: No devices were found"),
        (
            "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
            "",
            "nvidia-smi shows no GPU: Failed to initialize NVML: Driver/library version mismatch",
        ),
    ],
)
def test_what_nvidia_smi_says(docker: FakeDocker, script: str, gpu: str, trouble: str | None) -> None:
    docker.plan(runtimes={"nvidia": {}})
    docker.program("nvidia-smi", f"#!/bin/sh\n{script}\n")
    there = look(docker)
    assert there.gpu == gpu
    assert there.gpu_trouble == (trouble or "")


def test_a_docker_that_hangs_is_not_waited_for(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_TIMEOUT_S", 0.2)
    docker.program("docker", "#!/bin/sh\nexec /bin/sleep 30\n")
    assert "does not answer" in look(docker).docker_trouble

from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import system
from glasshouse.stack import machine
from glasshouse.stack.machine import Machine
from glasshouse.system import System

_HINT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"


def inspect(docker: FakeDocker) -> Machine:
    return machine.inspect(System({"PATH": docker.path}))


def on_bus(bare: Path, *devices: tuple[str, str]) -> None:
    """Puts devices, each a vendor and a class, on the PCI bus of this machine."""
    for number, (vendor, kind) in enumerate(devices):
        place = bare / f"sys/bus/pci/devices/0000:00:0{number}.0"
        place.mkdir(parents=True)
        (place / "vendor").write_text(f"{vendor}\n")
        (place / "class").write_text(f"{kind}\n")


@pytest.fixture
def gpu(docker: FakeDocker) -> None:
    docker.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA L4'\n")


def test_docker_and_compose_are_told_with_their_versions(docker: FakeDocker) -> None:
    there = inspect(docker)
    assert (there.docker, there.docker_trouble) == ("Docker 28.2.2, Compose 2.26.1", "")
    assert there.gpu_trouble == "no NVIDIA GPU found"


@pytest.mark.parametrize(
    ("plan", "message"),
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
    docker: FakeDocker, plan: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    docker.plan(**plan)
    assert inspect(docker).docker_trouble == message
    assert machine.is_docker_forbidden({"PATH": docker.path}) is message.startswith("you may not")


@pytest.mark.parametrize("version", ["2.24.0", "v2.40.3", "5.0.1", "2.26.1-4"])
def test_new_enough_is_new_enough(docker: FakeDocker, version: str) -> None:
    docker.plan(compose=version)
    assert inspect(docker).docker_trouble == ""


def test_no_docker_at_all() -> None:
    there = machine.inspect(System({"PATH": "/nowhere"}))
    assert there == Machine("", "", "Docker is not installed", "no NVIDIA GPU found")
    assert not machine.is_docker_forbidden({"PATH": "/nowhere"})


@pytest.mark.usefixtures("gpu")
def test_a_gpu_needs_nvidias_runtime_or_its_hook(docker: FakeDocker) -> None:
    assert inspect(docker).gpu_trouble == (
        f"NVIDIA L4 is there, but Docker cannot use it: install NVIDIA's container toolkit, {_HINT}"
    )
    docker.program("nvidia-ctk", "#!/bin/sh\n")
    assert inspect(docker).gpu_trouble.endswith(
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    )
    docker.plan(runtimes={"runc": {}, "nvidia": {}})
    assert (inspect(docker).gpu, inspect(docker).gpu_trouble) == ("NVIDIA L4", "")
    docker.plan(runtimes={"runc": {}})
    docker.program("nvidia-container-runtime-hook", "#!/bin/sh\n")
    assert inspect(docker).gpu_trouble == ""


_NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
_MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
_GPU, _ITS_SOUND, _NETWORK = ("0x10de", "0x030200"), ("0x10de", "0x040300"), ("0x1af4", "0x020000")


@pytest.mark.parametrize(("count", "gpu"), [(1, "NVIDIA L4"), (2, "2 x NVIDIA L4")])
def test_gpus_are_counted(docker: FakeDocker, count: int, gpu: str) -> None:
    docker.plan(runtimes={"nvidia": {}})
    docker.program("nvidia-smi", "#!/bin/sh\n" + "echo 'NVIDIA L4'\n" * count)
    there = inspect(docker)
    assert (there.gpu, there.gpu_trouble, there.has_gpu) == (gpu, "", True)


@pytest.mark.parametrize("devices", [(_NETWORK,), (_NETWORK, _GPU), ()], ids=["none on the bus", "one", "no bus"])
@pytest.mark.parametrize(
    ("script", "message", "fits_none"),
    [
        ("echo 'No devices were found'", "No devices were found", True),
        (f'echo "{_NO_DRIVER}"; exit 9', _NO_DRIVER.rstrip("."), True),
        (f"echo '{_MISMATCH}'; exit 18", _MISMATCH, False),
        ("exit 255", "it says nothing", False),
    ],
)
def test_a_driver_that_fails_is_no_missing_gpu(
    docker: FakeDocker, bare: Path, devices: tuple[tuple[str, str], ...], script: str, message: str, fits_none: bool
) -> None:
    on_bus(bare, *devices)
    docker.program("nvidia-smi", f"#!/bin/sh\n{script}\n")
    there = inspect(docker)
    assert there.has_gpu is not (fits_none and devices == (_NETWORK,))
    remedy = "; a reboot loads the driver that fits, where an upgrade has replaced it" if there.has_gpu else ""
    assert (there.gpu, there.gpu_trouble) == ("", f"nvidia-smi shows no GPU: {message}{remedy}")


def test_a_gpu_without_a_driver_is_seen_on_the_bus(docker: FakeDocker, bare: Path) -> None:
    on_bus(bare, _NETWORK, _ITS_SOUND)
    assert not inspect(docker).has_gpu
    (bare / "sys/bus/pci/devices/0000:00:01.0/class").write_text("0x030000\n")
    there = inspect(docker)
    assert there.has_gpu
    assert there.gpu_trouble == (
        "an NVIDIA GPU is there without its driver's nvidia-smi: sudo ubuntu-drivers install --gpgpu, then reboot"
    )


@pytest.mark.usefixtures("gpu")
def test_docker_that_was_configured_but_not_restarted(docker: FakeDocker, bare: Path) -> None:
    (bare / "etc/docker").mkdir(parents=True)
    (bare / "etc/docker/daemon.json").write_text('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}')
    assert inspect(docker).gpu_trouble == (
        "NVIDIA L4 is there, but Docker cannot use it: "
        "Docker has not been restarted since it was configured: sudo systemctl restart docker"
    )


def test_a_docker_that_hangs_is_not_waited_for(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_TIMEOUT_S", 0.2)
    docker.program("docker", "#!/bin/sh\nexec /bin/sleep 30\n")
    assert "does not answer" in inspect(docker).docker_trouble

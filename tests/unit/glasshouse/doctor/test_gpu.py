from pathlib import Path

import pytest
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import gpu
from glasshouse.stack import machine

_OLD_CUDA = "upgrade the driver, or take vLLM's build for CUDA 12.9: VLLM_IMAGE=vllm/vllm-openai:v0.32.0-cu129"


def test_a_gpu_that_docker_reaches(stub: Stub) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4")
    stub.docker.plan(runtimes={"nvidia": {}})
    assert stub.finds(gpu.gpu, "gpu") == ("ok", "NVIDIA L4, and Docker reaches it", "")


def test_a_gpu_that_docker_does_not_reach_after_a_reboot(stub: Stub) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4")
    stub.docker.program("nvidia-ctk", "#!/bin/sh\n")
    assert stub.finds(gpu.gpu, "gpu")[:2] == (
        "failure",
        f"NVIDIA L4 is there, but Docker cannot use it: {machine._CONFIGURE}",
    )


def test_a_gpu_whose_driver_was_replaced_under_it(stub: Stub) -> None:
    stub.answers("nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch", 18)
    assert stub.finds(gpu.gpu, "gpu")[:2] == (
        "failure",
        f"nvidia-smi shows no GPU: Failed to initialize NVML: Driver/library version mismatch; {machine._REBOOT}",
    )


def test_a_gpu_of_which_docker_says_nothing(stub: Stub) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4")
    stub.docker.plan(daemon_says="Cannot connect to the Docker daemon")
    assert stub.finds(gpu.gpu, "gpu") == (
        "not checked",
        "NVIDIA L4 works; Docker does not say whether it reaches it",
        "",
    )


@pytest.mark.parametrize("version", ["580.65.06", "580.95.05", "595.10", "610.43.02"])
def test_a_driver_for_cuda_13(stub: Stub, version: str) -> None:
    stub.answers("nvidia-smi", f"NVIDIA L4, {version}")
    assert stub.finds(gpu.driver, "gpu") == (
        "ok",
        f"{version}, and vllm/vllm-openai:v0.32.0 needs 580 or newer",
        "",
    )


@pytest.mark.parametrize(
    ("name", "hope"),
    [
        ("NVIDIA L4", "a compatibility package in the image may be enough for this GPU"),
        ("Tesla T4", "a compatibility package in the image may be enough for this GPU"),
        ("NVIDIA A100-SXM4-80GB", "a compatibility package in the image may be enough for this GPU"),
        (
            "NVIDIA GeForce RTX 4090",
            "compatibility packages are for data-centre GPUs, so vLLM will probably not start on this one",
        ),
        (
            "NVIDIA RTX A4000",
            "compatibility packages are for data-centre GPUs, so vLLM will probably not start on this one",
        ),
    ],
)
def test_a_driver_that_is_older(stub: Stub, name: str, hope: str) -> None:
    stub.answers("nvidia-smi", f"{name}, 570.172.08\n{name}, 570.172.08")
    assert stub.finds(gpu.driver, "gpu") == (
        "warning",
        f"570.172.08 is older than the 580 that CUDA 13, for which vllm/vllm-openai:v0.32.0 is built, needs; {hope}",
        _OLD_CUDA,
    )


@pytest.mark.parametrize(
    ("image", "level"),
    [
        ("vllm/vllm-openai:v0.32.0-cu129", "not checked"),
        ("docker.io/vllm/vllm-openai:v0.32.0-cu129", "not checked"),
        ("vllm/vllm-openai:v0.19.1", "not checked"),  # before 0.20 the plain tags were for CUDA 12
        ("vllm/vllm-openai:v0.19.1-cu130", "warning"),
        ("vllm/vllm-openai:v0.20.0", "warning"),
        ("vllm/vllm-openai:latest", "not checked"),
        ("registry.example.org/mine:1", "not checked"),
    ],
)
def test_the_image_decides_what_the_driver_has_to_run(stub: Stub, image: str, level: str) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4, 550.90.07")
    found, text, remedy = stub.finds(gpu.driver, "gpu", VLLM_IMAGE=image)
    assert found == level
    assert image in text
    if level == "warning":
        assert remedy.endswith(f"VLLM_IMAGE={image.removesuffix('-cu130')}-cu129")


def test_the_image_for_cuda_12_on_a_driver_of_today_and_on_an_older_one(stub: Stub) -> None:
    image = "vllm/vllm-openai:v0.32.0-cu129"
    stub.answers("nvidia-smi", "NVIDIA L4, 580.65.06")
    found = stub.finds(gpu.driver, "gpu", VLLM_IMAGE=image)
    assert found == ("ok", f"580.65.06, and {image} needs 525 or newer", "")
    stub.answers("nvidia-smi", "NVIDIA L4, 570.86.15")
    found = stub.finds(gpu.driver, "gpu", VLLM_IMAGE=image)
    text = f"570.86.15 runs CUDA 12; the start shows whether {image} has a condition of its own"
    assert found == ("not checked", text, "")


def test_a_driver_that_is_too_old_for_either(stub: Stub) -> None:
    stub.answers("nvidia-smi", "NVIDIA L4, 470.82.01")
    found = stub.finds(gpu.driver, "gpu", VLLM_IMAGE="vllm/vllm-openai:v0.32.0-cu129")
    assert (found[0], found[2]) == ("warning", "upgrade the driver")


@pytest.mark.parametrize("message", ["", "No devices were found", "NVIDIA L4, [N/A]"])
def test_a_driver_that_does_not_tell(stub: Stub, message: str) -> None:
    stub.answers("nvidia-smi", message)
    assert stub.finds(gpu.driver, "gpu") == ("not checked", "nvidia-smi does not report its version", "")


def test_the_image_is_the_one_that_is_built_from() -> None:
    root = Path(__file__).resolve().parents[4]
    built_from = "".join((root / name).read_text() for name in ("services/vllm/Dockerfile", "compose.yaml"))
    assert gpu._DEFAULT_IMAGE in built_from

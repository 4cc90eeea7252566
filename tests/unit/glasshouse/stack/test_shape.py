from collections.abc import Callable
from pathlib import Path

import pytest

from glasshouse.errors import SettingsError, StackError
from glasshouse.settings import load
from glasshouse.stack.machine import Machine
from glasshouse.stack.shape import Shape, choose

Which = Callable[..., Callable[[str], str | None]]

BARE = Machine("", "", "Docker is not installed", "no NVIDIA GPU found")
LAPTOP = Machine("Docker 28.2.2, Compose 2.26.1", "", "", "no NVIDIA GPU found")
SERVER = Machine("Docker 28.2.2, Compose 2.26.1", "NVIDIA L4", has_gpu=True)
UNFINISHED = Machine(
    "Docker 28.2.2, Compose 2.26.1", "NVIDIA L4", "", "NVIDIA L4 is there, but Docker cannot use it: X", has_gpu=True
)
BROKEN = Machine("Docker 28.2.2, Compose 2.26.1", "", "", "nvidia-smi shows no GPU: X", has_gpu=True)
FORBIDDEN = Machine("", "NVIDIA L4", "you may not use Docker: X", has_gpu=True)


def _lines(shape: Shape) -> dict[str, str]:
    return {choice.aspect: f"{choice.chosen} ({choice.reason})" for choice in shape.choices}


def test_a_bare_machine_gets_plain_http_and_the_lines_that_would_change_that(root: Path, which: Which) -> None:
    shape = choose(load(root, {}), BARE, which())
    lines = _lines(shape)
    assert (shape.nginx, shape.prometheus) == (None, None)
    assert lines["shape"] == "native (Docker is not installed)"
    assert lines["engine"] == "llama.cpp on CPU with the demo model (no NVIDIA GPU found)"
    assert "http://127.0.0.1:8000" in lines["endpoint"]
    assert "apt-get install -y nginx-light" in lines["endpoint"]
    assert "apt-get install -y prometheus" in lines["metrics"]


def test_what_is_installed_is_used(root: Path, which: Which) -> None:
    shape = choose(load(root, {"HTTPS_PORT": "9443"}), BARE, which(nginx="/x/nginx", prometheus="/x/prometheus"))
    assert (shape.nginx, shape.prometheus) == (Path("/x/nginx"), Path("/x/prometheus"))
    assert "https://127.0.0.1:9443" in _lines(shape)["endpoint"]
    assert "http://127.0.0.1:9090" in _lines(shape)["metrics"]


def test_off_leaves_out_what_is_installed(root: Path, which: Which) -> None:
    settings = load(root, {"NGINX": "off", "PROMETHEUS": "off"})
    shape = choose(settings, BARE, which(nginx="/x/nginx", prometheus="/x/prometheus"))
    assert (shape.nginx, shape.prometheus) == (None, None)
    assert "NGINX=off" in _lines(shape)["endpoint"]


def test_a_named_program_that_is_not_there_is_an_error(root: Path, which: Which) -> None:
    with pytest.raises(SettingsError, match="NGINX='/opt/nginx' is no program here"):
        choose(load(root, {"NGINX": "/opt/nginx"}), BARE, which())


def test_a_model_of_ones_own_is_named_and_a_gpu_is_not_promised(root: Path, which: Which) -> None:
    shape = choose(load(root, {"LLAMACPP_MODEL": "big.gguf"}), BARE, which(nvidia_smi="/usr/bin/nvidia-smi"))
    engine = _lines(shape)["engine"]
    assert "llama.cpp on CPU with big.gguf" in engine
    assert "leaves a GPU alone" in engine


@pytest.mark.parametrize(
    ("machine", "kind", "why"),
    [
        (BARE, "native", "(Docker is not installed)"),
        (LAPTOP, "cpu", "Docker without a GPU (no NVIDIA GPU found; Docker 28.2.2, Compose 2.26.1)"),
        (SERVER, "gpu", "Docker with a GPU (NVIDIA L4; Docker 28.2.2, Compose 2.26.1)"),
    ],
    ids=["bare", "laptop", "server"],
)
def test_the_machine_decides_and_the_reason_is_said(
    root: Path, which: Which, machine: Machine, kind: str, why: str
) -> None:
    shape = choose(load(root, {}), machine, which())
    assert shape.kind == kind
    assert why in _lines(shape)["shape"]


@pytest.mark.parametrize(
    ("machine", "why", "other"),
    [
        (UNFINISHED, "NVIDIA L4 is there, but Docker cannot use it: X", "cpu"),
        (BROKEN, "nvidia-smi shows no GPU: X", "cpu"),
        (FORBIDDEN, "you may not use Docker: X", "native"),
        (Machine("", "", "Docker is not installed", "nvidia-smi shows no GPU: X", True), "Docker is not ins", "native"),
    ],
    ids=["no toolkit", "driver fails", "no rights in Docker", "nothing works"],
)
def test_where_a_gpu_is_nothing_else_is_started_unasked(
    root: Path, which: Which, machine: Machine, why: str, other: str
) -> None:
    with pytest.raises(StackError) as caught:
        choose(load(root, {}), machine, which())
    message = str(caught.value)
    assert message.startswith(f"This machine has an NVIDIA GPU, which would not be used: {why}")
    assert message.endswith(f". To start without it all the same: make up SHAPE={other}")
    assert choose(load(root, {"SHAPE": other}), machine, which()).kind == other


@pytest.mark.parametrize("requested", ["gpu", "cpu", "native"])
def test_what_is_requested_is_chosen_where_the_machine_has_it(root: Path, which: Which, requested: str) -> None:
    shape = choose(load(root, {"SHAPE": requested}), SERVER, which())
    assert shape.kind == requested
    assert f"SHAPE={requested}" in _lines(shape)["shape"]


@pytest.mark.parametrize(
    ("requested", "machine", "message"),
    [
        ("gpu", BARE, "SHAPE=gpu cannot be had: Docker is not installed."),
        ("cpu", BARE, "SHAPE=cpu cannot be had: Docker is not installed."),
        ("gpu", LAPTOP, "SHAPE=gpu cannot be had: no NVIDIA GPU found."),
        ("gpu", UNFINISHED, "SHAPE=gpu cannot be had: NVIDIA L4 is there, but Docker cannot use it: X."),
    ],
)
def test_a_wish_that_cannot_be_had_is_one_sentence(
    root: Path, which: Which, requested: str, machine: Machine, message: str
) -> None:
    with pytest.raises(StackError) as caught:
        choose(load(root, {"SHAPE": requested}), machine, which())
    assert str(caught.value) == message


def test_composes_own_choice_of_files_is_a_choice_of_shape(root: Path, which: Which) -> None:
    assert choose(load(root, {"COMPOSE_FILE": "compose.yaml:compose.cpu.yaml"}), SERVER, which()).kind == "cpu"
    assert choose(load(root, {"COMPOSE_FILE": "compose.yaml"}), SERVER, which()).kind == "gpu"
    with pytest.raises(StackError, match=r"COMPOSE_FILE=compose\.yaml cannot be had: no NVIDIA GPU found\."):
        choose(load(root, {"COMPOSE_FILE": "compose.yaml"}), LAPTOP, which())


def test_what_is_started_in_docker_is_said(root: Path, which: Which) -> None:
    lines = _lines(choose(load(root, {"HTTPS_PORT": "9443", "VLLM_MODEL_FILE": "a/b-1.5.yaml"}), SERVER, which()))
    assert lines["engine"] == "vLLM with b-1.5 (VLLM_MODEL_FILE)"
    assert "https://localhost:9443 " in lines["endpoint"]
    assert "https://localhost:9443/grafana/" in lines["metrics"]
    lines = _lines(choose(load(root, {}), LAPTOP, which()))
    assert lines["engine"] == "llama.cpp on CPU with the demo model (no GPU is used)"
    assert "https://localhost " in lines["endpoint"]

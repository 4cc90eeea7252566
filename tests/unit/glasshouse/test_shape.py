from collections.abc import Callable
from pathlib import Path

import pytest

from glasshouse.errors import SettingsError
from glasshouse.settings import load
from glasshouse.shape import Shape, choose

Which = Callable[..., Callable[[str], str | None]]


def _lines(shape: Shape) -> dict[str, str]:
    return {choice.part: f"{choice.chosen} ({choice.reason})" for choice in shape.choices}


def test_a_bare_machine_gets_plain_http_and_the_lines_that_would_change_that(root: Path, which: Which) -> None:
    shape = choose(load(root, {}), which())
    lines = _lines(shape)
    assert (shape.nginx, shape.prometheus) == (None, None)
    assert "Docker Compose files are not part of this version yet" in lines["shape"]
    assert lines["engine"] == "llama.cpp on CPU with the demo model (no NVIDIA GPU found)"
    assert "http://127.0.0.1:8000" in lines["entrance"]
    assert "apt-get install -y nginx-light" in lines["entrance"]
    assert "apt-get install -y prometheus" in lines["metrics"]


def test_what_is_installed_is_used(root: Path, which: Which) -> None:
    shape = choose(load(root, {"HTTPS_PORT": "9443"}), which(nginx="/x/nginx", prometheus="/x/prometheus"))
    assert (shape.nginx, shape.prometheus) == (Path("/x/nginx"), Path("/x/prometheus"))
    assert "https://127.0.0.1:9443" in _lines(shape)["entrance"]
    assert "http://127.0.0.1:9090" in _lines(shape)["metrics"]


def test_off_leaves_out_what_is_installed(root: Path, which: Which) -> None:
    settings = load(root, {"NGINX": "off", "PROMETHEUS": "off"})
    shape = choose(settings, which(nginx="/x/nginx", prometheus="/x/prometheus"))
    assert (shape.nginx, shape.prometheus) == (None, None)
    assert "NGINX=off" in _lines(shape)["entrance"]


def test_a_named_program_that_is_not_there_is_an_error(root: Path, which: Which) -> None:
    with pytest.raises(SettingsError, match="NGINX='/opt/nginx' is no program here"):
        choose(load(root, {"NGINX": "/opt/nginx"}), which())


def test_a_model_of_ones_own_is_named_and_a_gpu_is_not_promised(root: Path, which: Which) -> None:
    shape = choose(load(root, {"LLAMACPP_MODEL": "big.gguf"}), which(nvidia_smi="/usr/bin/nvidia-smi"))
    engine = _lines(shape)["engine"]
    assert "llama.cpp on CPU with big.gguf" in engine
    assert "leaves a GPU alone" in engine

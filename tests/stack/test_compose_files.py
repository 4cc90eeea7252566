"""The compose files themselves: valid in each shape, and true to .env.example and to the services' settings."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.stack.parts.stack import ROOT

from gateway.settings import Settings as GatewaySettings
from gpu_exporter.settings import Settings as ExporterSettings
from llamacpp_server.settings import Settings as LlamacppSettings

pytestmark = pytest.mark.docker

GPU, CPU = ("compose.yaml",), ("compose.yaml", "compose.cpu.yaml")
EVERYWHERE = {
    "init",
    "certificate",
    "nginx",
    "api",
    "node-exporter",
    "nginx-exporter",
    "blackbox",
    "prometheus",
    "grafana",
}
# What the containers set themselves, since it follows from how they are put together.
FIXED = {
    "GATEWAY_HOST", "GATEWAY_PORT", "METRICS_HOST", "METRICS_PORT", "METRICS_DIR", "KEYS_FILE", "ENGINE_KEY_FILE",
    "PRICES_FILE",
    "GPU_EXPORTER_HOST", "GPU_EXPORTER_PORT", "GPU_EXPORTER_HOSTNAME",
    "LLAMACPP_HOST", "LLAMACPP_PORT", "LLAMACPP_STATUS_HOST", "LLAMACPP_STATUS_PORT",
}  # fmt: skip
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+")


def config(files: tuple[str, ...], env_file: Path | str = os.devnull, profiles: str = "") -> dict[str, Any]:
    """What Compose makes of the files, with nothing of the environment of whoever runs the tests."""
    arguments = [part for file in files for part in ("-f", file)]
    done = subprocess.run(
        ["docker", "compose", "--env-file", str(env_file), *arguments, "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "COMPOSE_PROFILES": profiles},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z_]+=", line))


def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "engines"), [(GPU, {"vllm", "gpu-exporter"}), (CPU, {"llamacpp"})], ids=["gpu", "cpu"]
)
@pytest.mark.parametrize("with_env", [False, True], ids=["without .env", "with .env"])
def test_each_shape_is_valid_and_has_its_services(
    files: tuple[str, ...], engines: set[str], with_env: bool, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in example().items() if value))
    assert set(config(files, env_file if with_env else os.devnull)["services"]) == EVERYWHERE | engines


def test_profiles_add_the_store_certificates_and_a_second_engine() -> None:
    assert set(config(GPU, profiles="store,acme,llamacpp")["services"]) == EVERYWHERE | {
        "vllm", "gpu-exporter", "valkey", "acme", "llamacpp",
    }  # fmt: skip


def test_every_variable_that_the_files_read_is_in_env_example() -> None:
    known = set(example())
    for file in CPU:
        text = source(file)
        read = set(re.findall(r"\$\{([A-Z_]+)", text)) | set(re.findall(r"^ +([A-Z_]+):$", text, re.MULTILINE))
        assert read <= known, (file, read - known)


def test_every_knob_of_a_service_reaches_its_container() -> None:
    services = yaml.safe_load(source("compose.yaml"))["services"]
    gateway = {name.upper() for name in GatewaySettings.model_fields}
    assert set(services["api"]["environment"]) == gateway
    llamacpp = {f"LLAMACPP_{name.upper()}" for name in LlamacppSettings.model_fields} - {"LLAMACPP_ENGINE_KEY_FILE"}
    assert set(services["llamacpp"]["environment"]) == llamacpp | {"ENGINE_KEY_FILE"}
    exporter = {f"GPU_EXPORTER_{name.upper()}" for name in ExporterSettings.model_fields}
    assert set(services["gpu-exporter"]["environment"]) == exporter
    for service in ("api", "llamacpp", "gpu-exporter"):
        fixed = {name for name, value in services[service]["environment"].items() if value is not None}
        assert fixed <= FIXED | {"ENGINES"}, service


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_every_container_is_confined(files: tuple[str, ...]) -> None:
    for name, service in config(files, profiles="store,acme,llamacpp")["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["pids_limit"]) > 0, name
        assert int(service["mem_limit"]) > 0, name
        assert service["logging"]["options"]["max-size"], name
        assert not service.get("privileged"), name
        assert (service["user"] == "0:0") == (name == "init"), name
        assert bool(service.get("ports")) == (name == "nginx"), name
        assert "container_name" not in service, name


def test_images_are_pinned_by_version() -> None:
    for name, service in config(GPU, profiles="store,acme,llamacpp")["services"].items():
        assert PINNED.match(service["image"]), name
    for dockerfile in (*ROOT.glob("services/*/Dockerfile"), ROOT / "client/Dockerfile"):
        (image,) = re.findall(r"^ARG \w+_IMAGE=(\S+)$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        assert PINNED.match(image), dockerfile


def test_a_container_stops_later_than_what_runs_in_it() -> None:
    services = config(GPU, profiles="llamacpp")["services"]
    grace = int(example()["SHUTDOWN_GRACE"])
    for name in ("nginx", "api", "vllm", "llamacpp"):
        assert re.fullmatch(r"(\d+m)?(\d+)?s?", services[name]["stop_grace_period"])
        minutes, seconds = re.findall(r"(?:(\d+)m)?(?:(\d+)s)?", services[name]["stop_grace_period"])[0]
        assert int(minutes or 0) * 60 + int(seconds or 0) > grace + 10, name


def test_what_depends_on_secrets_waits_for_init() -> None:
    services = config(GPU, profiles="acme,llamacpp")["services"]
    for name, service in services.items():
        mounts = {mount["target"] for mount in service.get("volumes", [])}
        if any(target.startswith("/run/glasshouse") for target in mounts) and name != "init":
            assert service["depends_on"]["init"]["condition"] == "service_completed_successfully", name

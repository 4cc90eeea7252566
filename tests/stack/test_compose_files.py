"""The compose files: valid in each shape, and consistent with .env.example and the services' settings."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.compose.stack import ROOT

from gateway.settings import Settings as GatewaySettings
from gpu_exporter.settings import Settings as ExporterSettings
from llamacpp_server.settings import Settings as LlamacppSettings

pytestmark = pytest.mark.docker

GPU, CPU = ("compose.yaml",), ("compose.yaml", "compose.cpu.yaml")
ONCE = {"init", "certificate-init", "grafana-init"}
EVERYWHERE = {
    *ONCE,
    "certificate",
    "nginx",
    "api",
    "node-exporter",
    "nginx-exporter",
    "blackbox",
    "prometheus",
    "grafana",
}
ALL_PROFILES = "store,acme,llamacpp,privacy-canary"
# What the compose files set themselves, since it follows from how the containers are connected.
FIXED = {
    "GATEWAY_HOST", "GATEWAY_PORT", "METRICS_HOST", "METRICS_PORT", "METRICS_DIR", "KEYS_FILE", "ENGINE_KEY_FILE",
    "PRICES_FILE",
    "GPU_EXPORTER_HOST", "GPU_EXPORTER_PORT", "GPU_EXPORTER_HOSTNAME",
    "LLAMACPP_HOST", "LLAMACPP_PORT", "LLAMACPP_STATUS_HOST", "LLAMACPP_STATUS_PORT",
}  # fmt: skip
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+")


def ask(
    files: tuple[str, ...], *question: str, env_file: Path | str = os.devnull, profiles: str = "", **settings: str
) -> str:
    """The output of `docker compose config`, without the environment of the tests."""
    arguments = [part for file in files for part in ("-f", file)]
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        ["docker", "compose", "--env-file", str(env_file), *arguments, "config", *question],
        cwd=ROOT,
        env=kept | {"COMPOSE_PROFILES": profiles} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    return done.stdout


def config(
    files: tuple[str, ...], env_file: Path | str = os.devnull, profiles: str = "", **settings: str
) -> dict[str, Any]:
    """The configuration that Compose resolves from the files."""
    text = ask(files, "--format", "json", env_file=env_file, profiles=profiles, **settings)
    found: dict[str, Any] = json.loads(text)
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
    assert set(config(GPU, profiles=ALL_PROFILES)["services"]) == EVERYWHERE | {
        "vllm", "gpu-exporter", "valkey", "valkey-jobs", "acme", "llamacpp", "privacy-canary",
    }  # fmt: skip


def test_every_variable_that_the_files_read_is_in_env_example() -> None:
    known = set(example())
    for file in CPU:
        text = source(file)
        read = set(re.findall(r"\$\{([A-Z_]+)", text)) | set(re.findall(r"^ +([A-Z_]+):$", text, re.MULTILINE))
        assert read <= known, (file, read - known)


def test_every_setting_of_a_service_reaches_its_container() -> None:
    services = yaml.safe_load(source("compose.yaml"))["services"]
    gateway = {name.upper() for name in GatewaySettings.model_fields}
    assert set(services["api"]["environment"]) == gateway
    llamacpp = {f"LLAMACPP_{name.upper()}" for name in LlamacppSettings.model_fields} - {"LLAMACPP_ENGINE_KEY_FILE"}
    assert set(services["llamacpp"]["environment"]) == llamacpp | {"ENGINE_KEY_FILE"}
    exporter = {f"GPU_EXPORTER_{name.upper()}" for name in ExporterSettings.model_fields}
    assert set(services["gpu-exporter"]["environment"]) == exporter
    for service in ("api", "llamacpp", "gpu-exporter"):
        fixed = {name for name, value in services[service]["environment"].items() if value is not None}
        assert fixed <= FIXED | {"ENGINES", "LLAMACPP_STOP_GRACE"}, service


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_a_drill_has_three_confined_containers_that_nobody_outside_reaches(files: tuple[str, ...]) -> None:
    without, found = (config(files, profiles=profiles)["services"] for profiles in ("", "drill"))
    own = {name: service for name, service in found.items() if name not in without}
    assert set(own) == {"drill", "drill-gateway", "drill-engine"}
    networks = config(files, profiles="drill")["networks"]
    for name, service in own.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "no", name
        assert not service.get("ports"), name
        assert all(networks[network]["internal"] for network in service["networks"]), name
        assert all(mount["read_only"] for mount in service["volumes"]), name
        assert not any("secrets" in mount["source"] for mount in service["volumes"]), name


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_every_container_is_confined(files: tuple[str, ...]) -> None:
    for name, service in config(files, profiles=ALL_PROFILES)["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["pids_limit"]) > 0, name
        assert int(service["mem_limit"]) > 0, name
        assert service["logging"]["options"]["max-size"], name
        assert not service.get("privileged"), name
        assert (service["user"] == "0:0") == (name == "init"), name
        assert bool(service.get("cap_add")) == (name == "init"), name
        assert bool(service.get("ports")) == (name == "nginx"), name
        assert "container_name" not in service, name


def test_images_are_pinned_by_version() -> None:
    for name, service in config(GPU, profiles=ALL_PROFILES)["services"].items():
        assert PINNED.match(service["image"]), name
    dockerfiles = (*ROOT.glob("services/*/Dockerfile"), ROOT / "client/Dockerfile", ROOT / "nginx/exporter/Dockerfile")
    for dockerfile in dockerfiles:
        images = re.findall(r"^ARG \w+_IMAGE=(\S+)$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        assert images, dockerfile
        assert all(PINNED.match(image) for image in images), dockerfile


def test_images_of_the_project_are_never_pulled_and_built_once() -> None:
    services = config(GPU, profiles=ALL_PROFILES)["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("glasshouse/")}
    assert set(ours) == {
        *ONCE,
        "certificate",
        "privacy-canary",
        "api",
        "vllm",
        "llamacpp",
        "gpu-exporter",
        "nginx-exporter",
    }
    assert all(service["pull_policy"] == "never" for service in ours.values())
    built = [service["image"] for service in ours.values() if service.get("build")]
    assert sorted(built) == sorted({service["image"] for service in ours.values()})
    assert not any("pull_policy" in services[name] or "build" in services[name] for name in set(services) - set(ours))


@pytest.mark.parametrize("grace", ["", "1", "46", "600", "3600"])
def test_a_container_stops_later_than_what_runs_in_it(grace: str, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"SHUTDOWN_GRACE={grace}\n")
    services = config(GPU, env_file, profiles="llamacpp")["services"]
    inner = int(grace or example()["SHUTDOWN_GRACE"])
    for name in ("nginx", "api", "vllm", "llamacpp"):
        assert seconds(services[name]["stop_grace_period"]) > inner + 10, name
    for name, variable in (("vllm", "VLLM_STOP_GRACE"), ("llamacpp", "LLAMACPP_STOP_GRACE")):
        assert services[name]["environment"][variable] == str(inner)


def test_an_engine_with_a_grace_of_its_own_gets_it_and_no_other_container_does() -> None:
    services = config(GPU, profiles="llamacpp", VLLM_STOP_GRACE="300", LLAMACPP_STOP_GRACE="90")["services"]
    assert services["vllm"]["environment"]["VLLM_STOP_GRACE"] == "300"
    assert services["llamacpp"]["environment"]["LLAMACPP_STOP_GRACE"] == "90"
    periods = {name: seconds(services[name]["stop_grace_period"]) for name in ("nginx", "api", "vllm", "llamacpp")}
    assert periods == {"nginx": 45, "api": 45, "vllm": 330, "llamacpp": 120}


def seconds(period: str) -> int:
    """A duration as Compose writes it, such as 1h0m30s."""
    (found,) = re.findall(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$", period)
    hours, minutes, rest = (int(part or 0) for part in found)
    return hours * 3600 + minutes * 60 + rest


def test_what_depends_on_secrets_waits_for_init() -> None:
    services = config(GPU, profiles=ALL_PROFILES)["services"]
    for name, service in services.items():
        mounts = {mount["target"] for mount in service.get("volumes", [])}
        volumes = [mount for mount in service.get("volumes", []) if mount["type"] == "volume"]
        if name != "init" and (volumes or any(target.startswith("/run/glasshouse") for target in mounts)):
            assert service["depends_on"]["init"]["condition"] == "service_completed_successfully", name


def test_every_volume_is_given_to_the_services_user() -> None:
    found = config(GPU, profiles=ALL_PROFILES)
    given = {mount["source"] for mount in found["services"]["init"]["volumes"] if mount["type"] == "volume"}
    assert given == set(found["volumes"])


@pytest.mark.parametrize(
    ("settings", "may_change"),
    [
        ({"ALERTS_TO": "slack"}, {"grafana-init", "grafana"}),
        ({"ALERTS_QUIET": "nights"}, {"grafana-init", "grafana"}),
        ({"ALERTS_EMAIL": "a@example.org", "SMTP_HOST": "mail.example.org:587"}, {"grafana-init", "grafana"}),
        ({"ALERTS_TIMEZONE": "Asia/Seoul", "SMTP_FROM": "b@example.org", "SMTP_USER": "b"}, {"grafana"}),
        ({"PUBLIC_ADDRESS": "198.51.100.7"}, {"certificate-init", "certificate", "blackbox", "grafana"}),
        (
            {"TLS_DOMAIN": "llm.example.org", "ACME_EMAIL": "a@example.org"},
            {
                *("certificate-init", "certificate", "blackbox", "grafana", "grafana-init", "acme", "nginx"),
                "nginx-exporter",
            },
        ),
    ],
    ids=["ALERTS_TO", "ALERTS_QUIET", "mail", "Grafana's own", "PUBLIC_ADDRESS", "TLS_DOMAIN"],
)
def test_a_setting_of_alerts_or_certificates_recreates_nothing_that_serves(
    settings: dict[str, str], may_change: set[str]
) -> None:
    """Compose 2.26 also re-creates what depends on a container that it re-creates, and what depends on that."""

    def hashes(**changed: str) -> dict[str, str]:
        lines = ask(GPU, "--hash", "*", profiles=ALL_PROFILES, **changed).splitlines()
        return dict(line.split() for line in lines)

    before, after = hashes(), hashes(**settings)
    changed = {name for name in before if before[name] != after[name]}
    assert changed
    services = config(GPU, profiles=ALL_PROFILES)["services"]
    while (
        further := {name for name, service in services.items() if changed & set(service.get("depends_on", {}))}
        - changed
    ):
        changed |= further
    assert changed <= may_change


@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_every_long_running_service_has_a_health_check_that_uses_no_shell_and_no_proxy(files: tuple[str, ...]) -> None:
    for name, service in config(files, profiles=ALL_PROFILES)["services"].items():
        if service["restart"] == "no":
            assert name in ONCE
            continue
        kind, *command = service["healthcheck"]["test"]
        assert kind == "CMD", name  # a shell would be asked for, which not every image has
        asks = " ".join(command)
        if "wget" in asks:
            assert command[:3] == ["env", "-u", "http_proxy"], name
        elif "curl" in asks:
            assert command[command.index("--noproxy") + 1] == "*", name
        elif "urllib" in asks:
            assert "ProxyHandler({})" in asks, name
        else:
            assert command[0] in {"promtool", "valkey-cli", "test"} or "launcher.healthcheck" in command, name


def test_an_exporter_or_grafana_reaches_its_neighbours_without_the_proxy_that_docker_gives() -> None:
    services = config(GPU, profiles=ALL_PROFILES)["services"]
    for name in ("nginx-exporter", "blackbox", "node-exporter", "prometheus", "valkey", "valkey-jobs"):
        given = services[name]["environment"]
        for proxy in ("http_proxy", "https_proxy", "all_proxy"):
            assert given[proxy] == given[proxy.upper()] == "", name
    assert "prometheus" in services["grafana"]["environment"]["NO_PROXY"].split(",")


@pytest.mark.parametrize("uid", ["10001", "1000"])
def test_only_the_node_exporter_mounts_more_than_its_own_files(uid: str) -> None:
    """A container that runs as the person who started it could read all that is theirs."""
    secrets = {f"secrets/{name}" for name in ("engine", "gateway", "grafana", "hub", "privacy-canary", "tls")}
    shared = {"config", "nginx", "prometheus", "models", "services/vllm/models", "grafana"}
    shared |= {"grafana/provisioning", "grafana/dashboards"}
    for name, service in config(GPU, profiles=ALL_PROFILES, GLASSHOUSE_UID=uid)["services"].items():
        sources = {mount["source"] for mount in service.get("volumes", []) if mount["type"] == "bind"}
        if name == "node-exporter":
            assert (sources, service["user"]) == ({"/"}, "65534:65534")
        elif name != "init":
            assert sources <= {str(ROOT / place) for place in secrets | shared}, name
        assert service.get("pid") is None, name
        writes = {
            mount["source"] for mount in service.get("volumes", [])
            if mount["type"] == "bind" and not mount.get("read_only")
        }  # fmt: skip
        assert writes <= {str(ROOT / "secrets" / "tls")} or name == "init", name


def test_the_store_is_reached_from_its_own_network_only_and_jobs_are_never_dropped() -> None:
    services = config(GPU, profiles=ALL_PROFILES)["services"]
    for name, policy, sync in (("valkey", "volatile-lru", None), ("valkey-jobs", "noeviction", "always")):
        assert set(services[name]["networks"]) == {"store"}
        words = services[name]["command"]
        options = dict(zip(words[1::2], words[2::2], strict=True))
        assert (options["--maxmemory-policy"], options.get("--appendfsync")) == (policy, sync)
        assert options["--appendonly"] == "yes"
        # Room for the copy that a rewrite of the log makes in the worst case.
        assert 2 * int(options["--maxmemory"].removesuffix("mb")) * 2**20 < int(services[name]["mem_limit"])
    assert services["valkey"]["volumes"][0]["source"] != services["valkey-jobs"]["volumes"][0]["source"]

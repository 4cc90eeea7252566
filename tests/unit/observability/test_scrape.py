import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.generated_files import ROOT, generated_yaml

from observability import scrape, settings

IMAGE = "glasshouse-test/debian:testing"
COMPOSED = {
    "gateway", "llamacpp", "llamacpp-launcher", "nginx", "node-exporter", "probe", "grafana", "prometheus", "drill",
    "privacy-canary",
}  # fmt: skip
SHAPES = {
    "prometheus/prometheus.gpu.yml": COMPOSED | {"vllm", "vllm-launcher", "gpu-exporter"},
    "prometheus/prometheus.cpu.yml": COMPOSED,
    "prometheus/native.yml.template": {"gateway", "llamacpp", "llamacpp-launcher", "privacy-canary", "prometheus"},
}


def jobs(path: str) -> dict[str, Any]:
    return {job["job_name"]: job for job in generated_yaml(path)["scrape_configs"]}


@pytest.mark.parametrize(("path", "names"), SHAPES.items())
def test_each_shape_has_its_own_jobs(path: str, names: set[str]) -> None:
    assert set(jobs(path)) == names


@pytest.mark.parametrize("path", SHAPES)
def test_llamacpp_is_shown_the_key_from_a_file(path: str) -> None:
    expected = "${ENGINE_KEY_FILE}" if "native" in path else "/run/glasshouse/engine-key"
    assert jobs(path)["llamacpp"]["authorization"] == {"credentials_file": expected}
    assert [name for name, job in jobs(path).items() if "authorization" in job] == ["llamacpp"]


def test_every_target_is_a_service_of_the_composed_stack() -> None:
    services = set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    for path in ("prometheus/prometheus.gpu.yml", "prometheus/prometheus.cpu.yml"):
        for job in jobs(path).values():
            hosts = {host for found in job.get("dns_sd_configs", []) for host in found["names"]}
            targets = {target for group in job.get("static_configs", []) for target in group["targets"]}
            hosts |= {target.removeprefix("https://").partition("/")[0].partition(":")[0] for target in targets}
            assert hosts or job["job_name"] == "drill"  # whose targets come and go
            assert hosts <= services | {"127.0.0.1"}


def test_llamacpp_beside_vllm_is_discovered_by_dns() -> None:
    job = jobs("prometheus/prometheus.gpu.yml")["llamacpp"]
    assert "static_configs" not in job
    assert job["dns_sd_configs"] == [{"names": ["llamacpp"], "type": "A", "port": 8002, "refresh_interval": "60s"}]


@pytest.mark.parametrize("path", SHAPES)
def test_the_privacy_canary_is_no_missing_target_where_it_does_not_run(path: str) -> None:
    job = jobs(path)["privacy-canary"]
    if "native" in path:
        assert [group["targets"] for group in job["static_configs"]] == ["${PRIVACY_CANARY_TARGETS}"]
    else:
        assert "static_configs" not in job
        assert job["dns_sd_configs"][0]["names"] == ["privacy-canary"]


def test_the_probe_targets_the_public_endpoint_and_its_instance_is_the_address() -> None:
    probe = jobs("prometheus/prometheus.gpu.yml")["probe"]
    assert probe["static_configs"] == [{"targets": ["https://nginx/healthz"], "labels": {"vm": settings.VM}}]
    assert probe["params"]["module"] == [scrape.PROBE_MODULE]
    assert probe["relabel_configs"][-1] == {"target_label": "__address__", "replacement": "blackbox:9115"}
    assert generated_yaml("prometheus/blackbox.yml")["modules"][scrape.PROBE_MODULE]["http"]["fail_if_not_ssl"]


def test_the_targets_of_a_drill_are_read_beside_the_configuration_and_can_be_taken_for_no_real_vm() -> None:
    job = jobs("prometheus/prometheus.gpu.yml")["drill"]
    (discovery,) = job["file_sd_configs"]
    assert discovery["files"] == [scrape.DRILL_TARGETS]
    assert (ROOT / "prometheus" / scrape.DRILL_TARGETS).parent.is_dir()
    assert job["relabel_configs"] == [{"target_label": "vm", "replacement": settings.DRILL_VM}]
    assert settings.DRILL_VM != settings.VM


def test_timeouts_are_shorter_than_intervals() -> None:
    assert settings.SCRAPE_TIMEOUT_SECONDS < settings.SCRAPE_INTERVAL_SECONDS
    assert settings.PROBE_TIMEOUT_SECONDS < settings.PROBE_INTERVAL_SECONDS
    assert settings.ALERT_INTERVAL_SECONDS % 10 == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("path", SHAPES)
def test_prometheus_accepts_the_file_and_the_rules_that_it_names(path: str, tmp_path: Path) -> None:
    key, file = tmp_path / "engine-key", tmp_path / "prometheus.yml"
    key.touch()
    text = (ROOT / path).read_text(encoding="utf-8")
    for place in (scrape.ENGINE_KEY_FILE, "${ENGINE_KEY_FILE}"):
        text = text.replace(place, str(key))
    text = text.replace("${PRIVACY_CANARY_TARGETS}", "[]")
    file.write_text(re.sub(r"\$\{\w+_PORT\}", "1", text), encoding="utf-8")
    (tmp_path / "rules").symlink_to(ROOT / "prometheus" / "rules")
    done = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = ["recording"] if "native" in path else ["recording", "alerts"]  # the native stack has no Grafana
    assert f"SUCCESS: {len(files)} rule files found" in done.stdout
    for name in files:
        assert re.search(rf"rules/{name}\.yml\n +SUCCESS: \d+ rules found", done.stdout)


@pytest.mark.docker
@pytest.mark.timeout(1200)  # it may build the images
def test_the_newer_prometheus_and_the_exporter_accept_their_files() -> None:
    subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=900)
    checks = """
        set -e; cd /etc/prometheus
        promtool check config --syntax-only prometheus.gpu.yml prometheus.cpu.yml
        promtool check rules rules/alerts.yml rules/recording.yml
        prometheus-blackbox-exporter --config.check --config.file=blackbox.yml"""
    mount = f"{ROOT / 'prometheus'}:/etc/prometheus:ro"
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "-v", mount, IMAGE, "sh", "-c", checks],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

from pathlib import Path

import pytest
import yaml

from glasshouse import configuration
from glasshouse.errors import SettingsError
from glasshouse.settings import load


def test_prometheus_scrapes_every_part(root: Path) -> None:
    settings = load(root, {"METRICS_HOST": "0.0.0.0", "SECRETS_DIR": 'a "b" c'})
    configuration.write(settings)
    read = yaml.safe_load((settings.run_dir / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in read["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets == {
        "gateway": ["127.0.0.1:9091"],
        "llamacpp": ["127.0.0.1:8002"],
        "llamacpp-launcher": ["127.0.0.1:8102"],
        "prometheus": ["127.0.0.1:9090"],
        "privacy-canary": [],
    }
    assert jobs["llamacpp"]["authorization"]["credentials_file"] == str(settings.engine_key_file)


def test_prometheus_scrapes_the_privacy_canary_where_it_is_enabled(root: Path) -> None:
    settings = load(root, {"PRIVACY_CANARY": "true", "PRIVACY_CANARY_PORT": "9197"})
    configuration.write(settings)
    read = yaml.safe_load((settings.run_dir / "prometheus" / "prometheus.yml").read_text())
    assert read["scrape_configs"][-1]["static_configs"][0]["targets"] == ["127.0.0.1:9197"]


@pytest.mark.parametrize("name", ['a "b"', "it's", "back\\slash", "a: b # c", "%s ${X}", "키"])
def test_a_path_is_data_in_yaml(root: Path, name: str) -> None:
    settings = load(root, {"SECRETS_DIR": name, "METRICS_HOST": "::1"})
    configuration.write(settings)
    jobs = yaml.safe_load((settings.run_dir / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert jobs[0]["static_configs"][0]["targets"] == ["[::1]:9091"]
    assert jobs[1]["authorization"]["credentials_file"] == str(root / name / "engine" / "engine-key")


@pytest.mark.parametrize("name", ["[a]", "a*", "who?", "back\\slash"])
def test_a_run_directory_that_would_be_a_pattern_is_refused(root: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"RUN_DIR=.* is not allowed: use a path without"):
        configuration.write(load(root, {"RUN_DIR": name}))


def test_prometheus_finds_its_rules_beside_its_configuration(root: Path) -> None:
    settings = load(root, {})
    configuration.write(settings)
    directory = settings.run_dir / "prometheus"
    (rules,) = yaml.safe_load((directory / "prometheus.yml").read_text())["rule_files"]
    assert (directory / rules).read_text() == (root / "prometheus" / rules).read_text()


def test_an_unknown_place_is_an_error() -> None:
    with pytest.raises(KeyError):
        configuration.render("${NOBODY_KNOWS}", {})


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("h", "h")]
)
def test_hosts_in_urls(host: str, shown: str) -> None:
    assert configuration.url_host(host) == shown

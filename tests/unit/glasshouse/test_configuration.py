from pathlib import Path

import pytest
import yaml

from glasshouse import configuration
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
    }
    assert jobs["llamacpp"]["authorization"]["credentials_file"] == str(settings.engine_key_file)


def test_prometheus_finds_its_rules_beside_its_configuration(root: Path) -> None:
    settings = load(root, {})
    configuration.write(settings)
    directory = settings.run_dir / "prometheus"
    (rules,) = yaml.safe_load((directory / "prometheus.yml").read_text())["rule_files"]
    assert (directory / rules).read_text() == (root / "prometheus" / rules).read_text()


def test_an_unknown_place_is_an_error() -> None:
    with pytest.raises(KeyError):
        configuration.fill_in("${NOBODY_KNOWS}", {})


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("h", "h")]
)
def test_hosts_in_urls(host: str, shown: str) -> None:
    assert configuration.url_host(host) == shown

from pathlib import Path

import pytest
from tests.unit.glasshouse.stack.native.test_start import _shape

from glasshouse.privacy_canary.settings import load as load_canary
from glasshouse.secrets import layout
from glasshouse.settings import load
from glasshouse.stack.native import privacy_canary


def test_the_canary_reads_every_part_of_the_shape(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(root, {"PRIVACY_CANARY": "true", "RUN_DIR": "a,b", "METRICS_HOST": "0.0.0.0"})
    given = privacy_canary.environment(settings, _shape(nginx=True, prometheus=True), "https://127.0.0.1:8443")
    assert given["PRIVACY_CANARY_AUTOSTART"] == "true"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = load_canary()
    assert read.logs == {
        name: str(root / "a,b" / "logs" / f"{name}.log") for name in ("gateway", "llamacpp", "nginx", "prometheus")
    }
    assert read.pages == {
        "gateway": "http://127.0.0.1:9091/metrics",
        "llamacpp": "http://127.0.0.1:8002/metrics",
        "llamacpp-launcher": "http://127.0.0.1:8102/metrics",
        "prometheus": "http://127.0.0.1:9090/metrics",
    }
    assert (read.url, read.certificate) == ("https://127.0.0.1:8443", settings.certificate)
    assert read.key_file == layout.privacy_canary_key_file(settings)
    assert (read.prometheus, read.grafana) == ("http://127.0.0.1:9090", "")
    assert not read.truncate_logs  # supervisord shortens them


def test_a_shape_without_nginx_and_prometheus_has_no_such_places(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = privacy_canary.environment(load(root, {}), _shape(), "http://127.0.0.1:8000")
    assert given["PRIVACY_CANARY_AUTOSTART"] == "false"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = load_canary()
    assert list(read.logs) == ["gateway", "llamacpp"]
    assert (read.prometheus, read.certificate) == ("", None)

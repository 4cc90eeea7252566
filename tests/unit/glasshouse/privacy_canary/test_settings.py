from pathlib import Path

import pytest

from glasshouse.errors import SettingsError
from glasshouse.privacy_canary.settings import Settings, load


def test_named_addresses_and_paths_are_read_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVACY_CANARY_LOGS", "gateway=/a,b/gateway.log, llamacpp-1=/c=d/llamacpp.log")
    monkeypatch.setenv("PRIVACY_CANARY_PAGES", "gateway=http://api:9091/metrics?x=1")
    monkeypatch.setenv("PRIVACY_CANARY_CERTIFICATE", "")
    settings = load()
    assert settings.logs == {"gateway": "/a,b/gateway.log", "llamacpp-1": "/c=d/llamacpp.log"}
    assert settings.pages == {"gateway": "http://api:9091/metrics?x=1"}
    assert settings.certificate is None
    assert (settings.interval, settings.port, settings.truncate_logs) == (3600, 9097, False)


def test_defaults_read_nothing() -> None:
    assert Settings().logs == Settings().pages == {}
    assert Settings().key_file == Path("secrets/privacy-canary/api-key")


@pytest.mark.parametrize(
    ("name", "value"), [("INTERVAL", "59"), ("INTERVAL", "1h"), ("PORT", "0"), ("LOGS", "/var/log/x"), ("PAGES", "a=")]
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PRIVACY_CANARY_{name}", value)
    with pytest.raises(SettingsError, match=f"PRIVACY_CANARY_{name} is not allowed"):
        load()

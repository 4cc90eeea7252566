import socket

import pytest

from gpu_exporter.settings import Settings
from launcher.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GPU_EXPORTER_{name.upper()}", raising=False)


def test_defaults() -> None:
    settings = Settings.read([])
    assert (settings.host, settings.port, settings.timeout, settings.expected) == ("127.0.0.1", 9400, 3.0, None)
    assert settings.hostname == socket.gethostname()


def test_command_line_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_EXPORTER_PORT", "9401")
    monkeypatch.setenv("GPU_EXPORTER_EXPECTED", "2")
    settings = Settings.read(["--port", "9402"])
    assert (settings.port, settings.expected) == (9402, 2)


def test_an_empty_value_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_EXPORTER_EXPECTED", "")
    monkeypatch.setenv("GPU_EXPORTER_HOSTNAME", "")
    assert Settings.read([]).expected is None


@pytest.mark.parametrize("value", ["0", "61", "nan", "soon"])
def test_a_bad_value_is_one_sentence_with_its_name(value: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"^GPU_EXPORTER_TIMEOUT={value} cannot be used; it must be [^\n]+\.$"
    ):
        Settings.read(["--timeout", value])

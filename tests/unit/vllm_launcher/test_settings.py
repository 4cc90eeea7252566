import os
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.settings import LAUNCHER_OPTIONS, Settings


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VLLM_", "ENGINE_KEY")):
            monkeypatch.delenv(name)


def test_the_defaults() -> None:
    settings = Settings.from_options({})

    assert (settings.model_file, settings.status_host, settings.status_port) == (None, "127.0.0.1", 8101)
    assert (settings.stop_grace, settings.drain_delay, settings.python) == (30.0, 2.5, "")
    assert settings.keys() == ()


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_MODEL_FILE", "env.yaml")
    monkeypatch.setenv("VLLM_STOP_GRACE", "5")
    settings = Settings.from_options({"model-file": "arg.yaml"})

    assert (settings.model_file, settings.stop_grace) == (Path("arg.yaml"), 5.0)


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_STATUS_PORT", "8110")
    monkeypatch.setenv("VLLM_STOP_GRACE", "")
    settings = Settings.from_options({"status-port": ""})

    assert (settings.status_port, settings.stop_grace) == (8110, 30.0)


def test_the_key_file_wins_over_vllms_own_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")
    monkeypatch.setenv("VLLM_API_KEY", "given")
    assert Settings.from_options({}).keys() == ("given",)

    monkeypatch.setenv("ENGINE_KEY_FILE", str(file))
    assert Settings.from_options({}).keys() == ("from-file",)


def test_the_key_is_not_shown_and_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sekret")

    assert "sekret" not in repr(Settings.from_options({}))
    assert not {name for name in LAUNCHER_OPTIONS if "key" in name}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VLLM_STATUS_PORT", "abc"),
        ("VLLM_STATUS_PORT", "0"),
        ("VLLM_STATUS_PORT", "65536"),
        ("VLLM_STOP_GRACE", "-1"),
        ("VLLM_STOP_GRACE", "nan"),
        ("VLLM_STOP_GRACE", "soon"),
        ("VLLM_DRAIN_DELAY", "61"),
    ],
)
def test_a_wrong_value_is_one_sentence(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"^{variable}={value} cannot be used; it must be .+\.$"):
        Settings.from_options({})


def test_other_variables_of_vllm_are_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_MAX_MODEL_LEN", "64")

    assert Settings.from_options({}).model_file is None

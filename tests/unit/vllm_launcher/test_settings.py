from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.settings import Settings


def test_the_defaults() -> None:
    settings = Settings.read({}, {})

    assert (settings.model_file, settings.status_host, settings.status_port) == (None, "127.0.0.1", 8101)
    assert (settings.stop_grace, settings.python) == (30.0, "")
    assert settings.drain_delay == 2.5
    assert settings.keys() == ()


def test_the_command_line_wins() -> None:
    settings = Settings.read({"VLLM_MODEL_FILE": "env.yaml", "VLLM_STOP_GRACE": "5"}, {"model-file": "arg.yaml"})

    assert (settings.model_file, settings.stop_grace) == (Path("arg.yaml"), 5.0)


def test_the_key_file_wins_over_a_clients_variable(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")

    assert Settings.read({"VLLM_API_KEY": "given"}, {}).keys() == ("given",)
    assert Settings.read({"VLLM_API_KEY": "given", "ENGINE_KEY_FILE": str(file)}, {}).keys() == ("from-file",)


def test_the_key_is_not_shown() -> None:
    assert "sekret" not in repr(Settings.read({"VLLM_API_KEY": "sekret"}, {}))


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
def test_a_wrong_value_is_one_sentence(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{variable}={value} cannot be used; it must be .+\.$"):
        Settings.read({variable: value}, {})

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from launcher.errors import ConfigurationError
from launcher.settings import EngineKeyFile, Port, ServiceSettings, StopGrace


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TEST_", cli_prog_name="test")

    status_port: Port = 8100
    stop_grace: StopGrace = 30.0
    name: str = Field(default="a", min_length=1)
    engine_key_file: EngineKeyFile = ""


def test_command_line_over_environment_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_STATUS_PORT", "1")
    monkeypatch.setenv("TEST_NAME", "b")
    settings = Settings.read(["--status-port", "2"])

    assert (settings.status_port, settings.name, settings.stop_grace) == (2, "b", 30.0)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_NAME", "")

    assert Settings.read([]).name == "a"


def test_the_key_file_has_no_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ENGINE_KEY_FILE", "wrong")
    monkeypatch.setenv("ENGINE_KEY_FILE", "secrets/engine-key")

    assert Settings.read([]).engine_key_file == "secrets/engine-key"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--status-port", "0"], "TEST_STATUS_PORT=0 cannot be used; it must be greater than or equal to 1."),
        (
            ["--status-port", "x"],
            "TEST_STATUS_PORT=x cannot be used; it must be an integer: unable to parse string",
        ),
        (["--stop-grace", "nan"], "TEST_STOP_GRACE=nan cannot be used; it must be less than or equal to 3600."),
        (["--nope", "1"], "The settings cannot be read: error parsing CLI: unrecognized arguments: --nope 1."),
    ],
)
def test_a_wrong_value_is_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)

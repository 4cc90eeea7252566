import os
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from llamacpp_server.settings import Settings


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("LLAMACPP_", "ENGINE_KEY")):
            monkeypatch.delenv(name)


def test_the_defaults() -> None:
    settings = Settings.read([])

    assert settings.model == Path("models/demo/glasshouse-demo.gguf")
    assert settings.served_name == "glasshouse-demo"
    assert (settings.host, settings.port, settings.status_port) == ("127.0.0.1", 8002, 8102)
    assert settings.threads == len(os.sched_getaffinity(0))
    assert settings.embeddings
    assert settings.lora_paths == ()


def test_command_line_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "llamacpp.toml"
    file.write_text('alias = "file"\nparallel = 2\nctx = 100\nengine_key_file = "k"\n')
    monkeypatch.setenv("LLAMACPP_SETTINGS_FILE", str(file))
    monkeypatch.setenv("LLAMACPP_PARALLEL", "3")
    monkeypatch.setenv("LLAMACPP_CTX", "200")
    settings = Settings.read(["--ctx", "300"])

    assert (settings.alias, settings.parallel, settings.ctx) == ("file", 3, 300)
    assert settings.engine_key_file == "k"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMACPP_PORT", "")
    monkeypatch.setenv("ENGINE_KEY_FILE", "")

    assert Settings.read([]).port == 8002


def test_the_key_file_has_no_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY_FILE", "secrets/engine-key")

    assert Settings.read([]).engine_key_file == "secrets/engine-key"


def test_adapters_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMACPP_LORA", "a.gguf, b.gguf,")

    assert Settings.read([]).lora_paths == (Path("a.gguf"), Path("b.gguf"))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LLAMACPP_PORT", "abc", "LLAMACPP_PORT=abc cannot be used; it must be an integer"),
        ("LLAMACPP_PORT", "0", "LLAMACPP_PORT=0 cannot be used; it must be greater than or equal to 1."),
        ("LLAMACPP_PARALLEL", "0", "LLAMACPP_PARALLEL=0 cannot be used; it must be greater than or equal to 1."),
        ("LLAMACPP_EMBEDDINGS", "perhaps", "LLAMACPP_EMBEDDINGS=perhaps cannot be used; it must be a valid boolean"),
        (
            "LLAMACPP_STOP_GRACE",
            "nan",
            "LLAMACPP_STOP_GRACE=nan cannot be used; it must be less than",
        ),
        ("LLAMACPP_STOP_GRACE", "-1", "LLAMACPP_STOP_GRACE=-1 cannot be used; it must be greater than or equal to 0."),
        ("LLAMACPP_SETTINGS_FILE", "/no", "LLAMACPP_SETTINGS_FILE=/no is not a file"),
    ],
)
def test_a_wrong_variable_is_one_sentence(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError) as caught:
        Settings.read([])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [["--nope", "3"], ["--port"], ["--port", "x"]])
def test_a_wrong_argument_is_one_sentence(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(arguments)
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "llamacpp.toml"
    file.write_text('modle = "x"\n')
    monkeypatch.setenv("LLAMACPP_SETTINGS_FILE", str(file))

    with pytest.raises(ConfigurationError, match=r"^modle is no setting; allowed are model, alias, "):
        Settings.read([])


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.read([]).port = 1
